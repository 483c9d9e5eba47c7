"""One task per target: targets come and go while the others are followed."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from support.fakes import ListedService
from support.spool_on_disk import take_all
from support.virtual_time import START_NS, VirtualClock

from tailer.config import PollSettings
from tailer.daemon.targets import NamedTarget, TargetSet, WatchedTargets
from tailer.discovery.selector import Selector
from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.model import Kind, Status, Target, Workload
from tailer.spool.memory import MemorySpool
from tailer.timestamp import NS_PER_S

SETTINGS = PollSettings(lateness_s=5, drain_s=5)
FIRST, SECOND = (Target("default", Kind.EXECUTION, f"e{number}") for number in (1, 2))
ALL = Selector(resource_groups=("default",), kinds=(Kind.EXECUTION,))


@dataclass(slots=True)
class Rig:
    targets: TargetSet
    service: ListedService
    spool: MemorySpool
    health: Health
    polls: PollSettings = field(default=SETTINGS)

    async def want(self, *names: Target, selectors: tuple[Selector, ...] = ()) -> None:
        """Follow these by name, and what `selectors` mean."""
        named = tuple(NamedTarget(one.name, one.resource_group) for one in names)
        wanted = WatchedTargets(names=named, selectors=selectors, poll=self.polls, backfill_ns=0)
        await self.targets.change(wanted)

    def phases(self) -> dict[Target, Phase]:
        return {target: one.phase for target, one in self.health.targets.items()}

    def add(self, second: float, msg: str) -> None:
        """A line of every target."""
        time_ns = START_NS + round(second * NS_PER_S)
        self.service.store.add(time_ns, msg, visible_from_ns=time_ns)

    async def messages(self) -> Counter[object]:
        return Counter(await take_all(self.spool, "s"))


@asynccontextmanager
async def running(clock: VirtualClock) -> AsyncIterator[Rig]:
    listed = [Workload(target, Status.RUNNING) for target in (FIRST, SECOND)]
    service, health = ListedService(clock, listed=listed), Health()
    spool = MemorySpool(sinks=["s"], max_bytes=10**9)
    async with anyio.create_task_group() as tasks:
        targets = TargetSet(
            tasks, source=service, spool=spool, clock=clock, health=health, jitter=lambda: 0.0
        )
        yield Rig(targets, service, spool, health)
        tasks.cancel_scope.cancel()


async def test_every_named_target_is_followed(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        await rig.want(FIRST, SECOND)
        await clock.sleep(10)
        rig.add(10, "line")
        await clock.sleep(30)

    assert rig.phases() == {FIRST: Phase.FOLLOWING, SECOND: Phase.FOLLOWING}
    assert await rig.messages() == Counter({"line": 2})


async def test_a_removed_target_is_stopped_and_the_other_continues(
    clock: VirtualClock,
) -> None:
    async with running(clock) as rig:
        await rig.want(FIRST, SECOND)
        await clock.sleep(10)
        goes_on = rig.health.of(FIRST)
        await rig.want(FIRST)
        rig.add(12, "line")
        await clock.sleep(30)

    assert rig.phases() == {FIRST: Phase.FOLLOWING}
    assert rig.health.of(FIRST) is goes_on
    assert await rig.messages() == Counter({"line": 1})


async def test_a_target_that_is_added_again_resumes_at_its_position(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        rig.add(1, "before")
        await rig.want(FIRST)
        await clock.sleep(20)
        await rig.want()
        rig.add(25, "between")
        await clock.sleep(60)
        await rig.want(FIRST)
        await clock.sleep(30)

    assert await rig.messages() == Counter(["before", "between"])


async def test_setting_the_same_targets_changes_nothing(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        await rig.want(FIRST)
        await clock.sleep(10)
        requests = rig.service.requests
        await rig.want(FIRST)

        assert rig.service.requests == requests


async def test_other_poll_settings_apply_to_every_target_and_lose_nothing(
    clock: VirtualClock,
) -> None:
    async with running(clock) as rig:
        await rig.want(FIRST, SECOND)
        await clock.sleep(10)
        rig.add(11, "line")
        rig.polls = PollSettings(lateness_s=8, drain_s=5)
        await rig.want(FIRST, SECOND)
        await clock.sleep(30)

    assert await rig.messages() == Counter({"line": 2})


async def test_a_selected_target_is_followed(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        await rig.want(selectors=(ALL,))
        await clock.sleep(10)

        assert rig.phases() == {FIRST: Phase.FOLLOWING, SECOND: Phase.FOLLOWING}


async def test_a_target_that_is_named_and_found_is_followed_once(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        await rig.want(FIRST, selectors=(ALL,))
        await clock.sleep(10)
        rig.add(12, "line")
        await clock.sleep(30)

    assert await rig.messages() == Counter({"line": 2})  # of two targets


async def test_a_found_target_continues_when_another_name_is_added(clock: VirtualClock) -> None:
    async with running(clock) as rig:
        await rig.want(selectors=(ALL,))
        await clock.sleep(10)
        goes_on = rig.health.of(SECOND)
        await rig.want(FIRST, selectors=(ALL,))
        rig.add(12, "line")
        await clock.sleep(30)

    assert rig.health.of(SECOND) is goes_on
    assert await rig.messages() == Counter({"line": 2})
