"""One followed target, through refusals, denials and its return."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
from support.fakes import TARGET, ListedService
from support.spool_on_disk import take_all
from support.virtual_time import START_NS, VirtualClock

from tailer.config import PollSettings
from tailer.daemon.follower import Follower
from tailer.discovery.scanner import Found
from tailer.errors import AuthError, PermanentApiError
from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.model import Status, Workload
from tailer.spool.memory import MemorySpool
from tailer.timestamp import NS_PER_S

SETTINGS = PollSettings(lateness_s=5, drain_s=5)
WORKLOAD = Workload(TARGET, Status.RUNNING)


@dataclass(slots=True)
class Rig:
    service: ListedService
    spool: MemorySpool
    health: Health
    follower: Follower

    def add(self, second: float, msg: str) -> None:
        time_ns = START_NS + round(second * NS_PER_S)
        self.service.store.add(time_ns, msg, visible_from_ns=time_ns)

    async def messages(self) -> Counter[object]:
        return Counter(await take_all(self.spool, "s"))


def rig(clock: VirtualClock) -> Rig:
    service = ListedService(clock, listed=[WORKLOAD])
    spool, health = MemorySpool(sinks=["s"], max_bytes=10**9), Health()
    follower = Follower(
        source=service,
        spool=spool,
        clock=clock,
        settings=SETTINGS,
        health=health,
        start=lambda now_ns: now_ns,
        jitter=lambda: 0.0,
    )
    return Rig(service, spool, health, follower)


@asynccontextmanager
async def following(clock: VirtualClock) -> AsyncIterator[Rig]:
    """The target is followed by name for as long as the block, or until it has ended."""
    made = rig(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.follower.follow, TARGET.name, TARGET.resource_group)
        yield made
        tasks.cancel_scope.cancel()


async def test_a_target_is_followed_until_it_has_ended_and_drained(clock: VirtualClock) -> None:
    made = rig(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.follower.follow, TARGET.name, TARGET.resource_group)
        await clock.sleep(10)
        made.add(10, "one")
        made.service.status = Status.STOPPED
        await clock.sleep(3)
        made.add(12, "late")

    assert made.health.of(TARGET).phase is Phase.ENDED
    assert await made.messages() == Counter(["one", "late"])


async def test_a_denied_target_is_retried_without_loss(clock: VirtualClock) -> None:
    async with following(clock) as made:
        await clock.sleep(10)
        made.service.refuses = PermanentApiError("403 Forbidden")
        await clock.sleep(20)
        made.add(30, "while it was refused")
        refused = made.health.of(TARGET).phase
        made.service.refuses = None
        await clock.sleep(60)

    assert refused is Phase.FAILED
    assert made.health.of(TARGET).phase is Phase.FOLLOWING
    assert await made.messages() == Counter(["while it was refused"])


async def test_a_missing_named_target_is_requested_until_it_returns(
    clock: VirtualClock,
) -> None:
    async with following(clock) as made:
        made.add(5, "before")
        await clock.sleep(30)
        made.service.is_gone = True
        await clock.sleep(300)
        gone = made.health.of(TARGET).phase
        made.service.is_gone = False
        made.add(330, "after")
        await clock.sleep(1000)

    assert gone is Phase.GONE
    assert made.health.of(TARGET).phase is Phase.FOLLOWING
    assert await made.messages() == Counter(["before", "after"])


async def test_credentials_rejected_at_first_contact_end_the_follower(
    clock: VirtualClock,
) -> None:
    made = rig(clock)
    made.service.refuses = AuthError("401 Unauthorized")

    with pytest.raises(AuthError):
        await made.follower.follow(TARGET.name, TARGET.resource_group)


async def test_credentials_rejected_later_are_retried(clock: VirtualClock) -> None:
    async with following(clock) as made:
        await clock.sleep(10)
        made.service.refuses = AuthError("401 Unauthorized")
        await clock.sleep(20)
        made.service.refuses = None
        await clock.sleep(60)

        assert made.health.of(TARGET).phase is Phase.FOLLOWING


async def test_a_found_target_is_retired_when_it_is_finished(clock: VirtualClock) -> None:
    made = rig(clock)
    made.service.answered = True  # with the list that had the target
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.follower.follow_found, Found(WORKLOAD, START_NS), lambda: None)
        await clock.sleep(10)
        during = made.spool.targets.is_retired(TARGET)
        made.service.status = Status.COMPLETED

    assert (during, made.spool.targets.is_retired(TARGET)) == (False, True)


async def test_a_target_that_is_followed_already_is_not_followed_twice(clock: VirtualClock) -> None:
    async with following(clock) as made:
        await clock.sleep(10)
        with anyio.fail_after(1):
            await made.follower.follow_found(Found(WORKLOAD, START_NS), lambda: None)
        made.add(12, "one")
        await clock.sleep(30)

    assert await made.messages() == Counter(["one"])
