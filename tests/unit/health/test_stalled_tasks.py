"""Tasks with a request that never ends are stalled; pausing and retrying tasks are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import anyio
from anyio import sleep_forever
from support.fakes import TARGET, MemorySource
from support.virtual_time import VirtualClock

from tailer.backoff import OnRetry
from tailer.config import PollSettings
from tailer.config.settings import PaceSettings
from tailer.discovery.scanner import Scanner
from tailer.discovery.selector import Selector
from tailer.errors import NotFoundError, TransientApiError
from tailer.health.health import Health
from tailer.health.liveness import stalled
from tailer.health.parts import STALL_S
from tailer.model import NO_FILTER, Kind, ListFilter, Workload
from tailer.polling.poller import Poller
from tailer.spool.memory import MemorySpool

SETTINGS = PollSettings(pace=PaceSettings(1.0, 3600.0))
EXECUTIONS = Selector(
    resource_groups=None,
    kinds=(Kind.EXECUTION,),
    scenarios=(),
    executables=(),
    configurations=(),
    statuses=(),
)


async def reasons_after(
    seconds: float, source: MemorySource, clock: VirtualClock
) -> tuple[list[str], Health]:
    """Reasons for a stall of a target that is followed from `source`."""
    health = Health()
    poller = Poller(
        target=TARGET,
        source=source,
        spool=MemorySpool(sinks=["s"], max_bytes=10**9),
        clock=clock,
        health=health.of(TARGET),
        settings=SETTINGS,
        jitter=lambda: 0.0,
    )

    async def follow() -> None:
        await poller.follow(start=lambda now_ns: now_ns)

    async with anyio.create_task_group() as following:
        following.start_soon(follow)
        await clock.sleep(seconds)
        reasons = stalled(health, clock.monotonic_s())
        following.cancel_scope.cancel()
    return reasons, health


async def test_a_hanging_log_request_is_a_stall_after_five_minutes(clock: VirtualClock) -> None:
    hanging = MemorySource(clock, latency_s=1e9)

    early, _ = await reasons_after(STALL_S - 1, hanging, clock)
    late, _ = await reasons_after(STALL_S + 1, hanging, clock)

    assert early == []
    assert late == [f"deployment/d1 in default: asking the service for {STALL_S + 1:.0f} s"]


async def test_an_hour_between_two_reads_is_no_stall(clock: VirtualClock) -> None:
    reasons, health = await reasons_after(10_000, MemorySource(clock), clock)

    assert reasons == []
    assert health.of(TARGET).pause_s == SETTINGS.pace.idle_interval_s


async def test_half_an_hour_of_failures_is_no_stall(clock: VirtualClock) -> None:
    failing = MemorySource(clock, fails=lambda _: True)

    reasons, health = await reasons_after(2000, failing, clock)

    assert reasons == []
    assert health.of(TARGET).next_try_s is not None


@dataclass(slots=True)
class Lists:
    """Says what groups there are, one by one; of a group never anything, or always no."""

    clock: VirtualClock
    groups: list[Sequence[str]]
    refuses: bool = False
    fails: bool = False

    def server_now_ns(self) -> int | None:
        return self.clock.wall_ns()

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Sequence[Workload]:
        if self.refuses:
            raise NotFoundError("no such resource group")
        while self.fails:
            on_retry(TransientApiError("502 Bad Gateway"), 30.0)
            await self.clock.sleep(30.0)
        await sleep_forever()
        return ()

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]:
        return self.groups.pop(0) if len(self.groups) > 1 else self.groups[0]


async def scanned(seconds: float, lists: Lists, clock: VirtualClock) -> Health:
    health = Health()
    scanner = Scanner(
        selectors=[EXECUTIONS],
        source=lists,
        spool=MemorySpool(sinks=["s"], max_bytes=10**9),
        clock=clock,
        health=health,
        backfill_ns=0,
        lateness_ns=0,
        interval_s=15.0,
    )
    scanner.register()

    async def watch() -> None:
        await scanner.watch(lambda _: None)

    async with anyio.create_task_group() as watching:
        watching.start_soon(watch)
        await clock.sleep(seconds)
        watching.cancel_scope.cancel()
    return health


async def test_a_hanging_list_request_is_a_stall(clock: VirtualClock) -> None:
    health = await scanned(STALL_S + 1, Lists(clock, [["a"]]), clock)

    reasons = stalled(health, clock.monotonic_s())
    assert reasons == ["executions in a: asking the service for 301 s"]
    assert not health.listings["executions in a"].is_done


async def test_a_list_that_fails_for_hours_is_no_stall(clock: VirtualClock) -> None:
    health = await scanned(7200, Lists(clock, [["a"]], fails=True), clock)

    assert stalled(health, clock.monotonic_s()) == []
    assert health.listings["executions in a"].reason == "502 Bad Gateway"


async def test_a_denied_list_is_no_stall_and_counts_as_done(clock: VirtualClock) -> None:
    health = await scanned(7200, Lists(clock, [["a"]], refuses=True), clock)

    assert stalled(health, clock.monotonic_s()) == []
    assert health.listings["executions in a"].is_done


async def test_a_removed_group_is_no_stall(clock: VirtualClock) -> None:
    health = await scanned(STALL_S * 2, Lists(clock, [["a", "b"], ["a"]], refuses=True), clock)

    assert health.listings.keys() == {"resource groups", "executions in a"}
    assert stalled(health, inf) != []
