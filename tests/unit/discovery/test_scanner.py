"""Listing on an interval: new workloads are reported once; a denied group affects no other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs
from support.fakes import ListedService
from support.spool_on_disk import opening
from support.virtual_time import START_NS, VirtualClock

from tailer.discovery.scanner import Found, Scanner
from tailer.discovery.selector import Selector
from tailer.errors import AuthError, PermanentApiError
from tailer.health.health import Health
from tailer.model import Gap, GapReason, Kind, Status, Target, Workload
from tailer.spool.contract import Spool
from tailer.spool.memory import MemorySpool
from tailer.timestamp import NS_PER_S, format_ns

INTERVAL_S = 15.0
EVERYWHERE = Selector(resource_groups=None, kinds=(Kind.EXECUTION,))


def execution(id_: str, *, created_s: float = 0.0, group: str = "default") -> Workload:
    created_at = format_ns(START_NS + round(created_s * NS_PER_S))
    return Workload(Target(group, Kind.EXECUTION, id_), Status.RUNNING, created_at=created_at)


@dataclass(slots=True)
class Rig:
    service: ListedService
    health: Health = field(default_factory=Health)
    found: list[Found] = field(default_factory=list)
    lost: list[Gap] = field(default_factory=list)

    @property
    def found_ids(self) -> list[str]:
        return [one.workload.target.id for one in self.found]

    async def note_lost(self, gap: Gap) -> None:
        self.lost.append(gap)


@asynccontextmanager
async def scanning(
    service: ListedService,
    clock: VirtualClock,
    *,
    selectors: Sequence[Selector] = (EVERYWHERE,),
    spool: Spool | None = None,
) -> AsyncIterator[Rig]:
    """The scanner runs for as long as the block."""
    rig = Rig(service)
    scanner = Scanner(
        selectors=selectors,
        source=service,
        spool=spool or MemorySpool(sinks=["s"], max_bytes=10**9),
        clock=clock,
        health=rig.health,
        backfill_ns=0,
        lateness_ns=0,
        interval_s=INTERVAL_S,
    )
    scanner.register()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scanner.watch, rig.found.append, rig.note_lost)
        yield rig
        tasks.cancel_scope.cancel()


async def test_a_workload_is_reported_once_however_often_it_is_listed(clock: VirtualClock) -> None:
    service = ListedService(clock, listed=[execution("e1")])
    async with scanning(service, clock) as rig:
        await clock.sleep(10 * INTERVAL_S)

    assert rig.found_ids == ["e1"]


async def test_a_new_workload_is_reported_within_one_interval_from_its_creation_on(
    clock: VirtualClock,
) -> None:
    service = ListedService(clock)
    async with scanning(service, clock) as rig:
        await clock.sleep(100)
        service.listed.append(execution("e1", created_s=100))
        await clock.sleep(INTERVAL_S + 1)

    (found,) = rig.found
    assert found.workload.target.id == "e1"
    assert found.start_ns <= START_NS + 100 * NS_PER_S


async def test_an_unselected_workload_is_not_reported(clock: VirtualClock) -> None:
    only_team_a = Selector(resource_groups=("team-a",), kinds=(Kind.EXECUTION,))
    service = ListedService(clock, groups=["default", "team-a"])
    service.listed = [execution("e1"), execution("e2", group="team-a")]
    async with scanning(service, clock, selectors=[only_team_a]) as rig:
        await clock.sleep(1)

    assert rig.found_ids == ["e2"]


async def test_a_retired_workload_is_not_reported(clock: VirtualClock) -> None:
    spool = MemorySpool(sinks=["s"], max_bytes=10**9)
    known = execution("e1")
    await spool.target_position(known.target, start_ns=START_NS)
    await spool.retire(known.target)
    async with scanning(ListedService(clock, listed=[known]), clock, spool=spool) as rig:
        await clock.sleep(1)

    assert rig.found == []


async def test_a_denied_resource_group_affects_no_other_and_is_logged_once(
    clock: VirtualClock,
) -> None:
    service = ListedService(clock, groups=["default", "secret"], refused_groups={"secret"})
    service.listed = [execution("e1"), execution("e2", group="secret")]
    with capture_logs() as events:
        async with scanning(service, clock) as rig:
            await clock.sleep(200)
            denied = rig.found_ids
            service.refused_groups.clear()
            await clock.sleep(1000)

    assert (denied, rig.found_ids) == (["e1"], ["e1", "e2"])
    assert [event["resource_group"] for event in events if "resource_group" in event] == [
        "secret",  # denied
        "secret",  # available again
    ]


async def test_a_resource_group_that_appears_later_is_scanned_within_a_minute(
    clock: VirtualClock,
) -> None:
    service = ListedService(clock)
    async with scanning(service, clock) as rig:
        await clock.sleep(10)
        service.groups.append("team-b")
        service.listed.append(execution("e1", group="team-b"))
        await clock.sleep(61)

    assert rig.found_ids == ["e1"]


async def test_failing_requests_are_retried_and_shown_in_health(clock: VirtualClock) -> None:
    service = ListedService(clock, listed=[execution("e1")])
    service.fails = lambda _: clock.monotonic_s() < 60
    async with scanning(service, clock) as rig:
        await clock.sleep(30)
        failing = [one for one in rig.health.listings.values() if one.next_try_s is not None]
        await clock.sleep(60)
        failing_later = [one for one in rig.health.listings.values() if one.next_try_s is not None]

    assert (len(failing), failing_later, rig.found_ids) == (1, [], ["e1"])


@pytest.mark.parametrize(
    "error", [AuthError("401 Unauthorized"), PermanentApiError("403 Forbidden")]
)
async def test_credentials_rejected_at_first_contact_end_the_scanner(
    error: AuthError | PermanentApiError, clock: VirtualClock
) -> None:
    service = ListedService(clock, refuses=error)

    with pytest.RaisesGroup(pytest.RaisesExc(type(error)), flatten_subgroups=True):
        async with scanning(service, clock):
            await clock.sleep(1)


async def test_credentials_rejected_later_are_retried(clock: VirtualClock) -> None:
    service = ListedService(clock)
    async with scanning(service, clock) as rig:
        await clock.sleep(1)
        service.refuses = AuthError("401 Unauthorized")
        await clock.sleep(100)
        service.refuses = None
        service.listed.append(execution("e1"))
        await clock.sleep(1000)

    assert rig.found_ids == ["e1"]


async def test_a_deleted_target_of_an_earlier_process_is_a_gap(
    clock: VirtualClock, tmp_path: Path
) -> None:
    left = execution("e1").target
    async with opening(tmp_path / "spool.db") as opened:
        await opened.spool.target_position(left, start_ns=START_NS)
    async with (
        opening(tmp_path / "spool.db") as opened,
        scanning(ListedService(clock), clock, spool=opened.spool) as rig,
    ):
        await clock.sleep(6 * INTERVAL_S)

    assert [(gap.target, gap.start_ns, gap.reason) for gap in rig.lost] == [
        (left, START_NS, GapReason.GONE)
    ]
