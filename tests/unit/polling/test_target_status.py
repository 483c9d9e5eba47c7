"""Status requests of a target: details once, then the status field only."""

import pytest
from support.fakes import TARGET, MemorySource
from support.virtual_time import VirtualClock

from tailer.config import PollSettings
from tailer.errors import NotFoundError
from tailer.health.targets import TargetHealth
from tailer.model import Kind, Status, Target, Workload
from tailer.polling.reporter import TargetReporter
from tailer.polling.target_status import StatusTracker

EXECUTION = Target("default", Kind.EXECUTION, "e1")


class Rig:
    def __init__(
        self, clock: VirtualClock, *, target: Target = TARGET, known: Workload | None = None
    ) -> None:
        self.clock = clock
        self.source = MemorySource(clock)
        self.health = TargetHealth(target)
        self.tracker = StatusTracker(
            target=target,
            source=self.source,
            clock=clock,
            health=self.health,
            reporter=TargetReporter(self.health, clock),
            settings=PollSettings(drain_s=20, lateness_s=20),
            details=known,
        )


async def test_details_are_requested_once_and_then_the_status_field_only(
    clock: VirtualClock,
) -> None:
    rig = Rig(clock)

    for _ in range(3):
        await rig.tracker.refresh()

    assert rig.source.asked_only_status == [False, True, True]
    assert rig.health.details is not None
    assert rig.health.details.scenario_id == "churn"


async def test_details_are_requested_again_after_a_failure(clock: VirtualClock) -> None:
    rig = Rig(clock)
    await rig.tracker.refresh()
    rig.source.status, rig.source.status_message = Status.DEAD, "out of memory"

    await rig.tracker.refresh()

    assert rig.source.asked_only_status == [False, True, False]
    assert rig.health.details is not None
    assert (rig.health.status, rig.health.details.status_message) == (Status.DEAD, "out of memory")


async def test_a_target_from_a_listing_is_not_requested_again(clock: VirtualClock) -> None:
    rig = Rig(clock, known=Workload(TARGET, Status.RUNNING))

    await rig.tracker.start()

    assert rig.source.asked_only_status == []
    assert rig.health.status is Status.RUNNING


async def test_a_404_soon_after_the_listing_is_retried(clock: VirtualClock) -> None:
    rig = Rig(clock, known=Workload(TARGET, Status.PENDING))
    rig.source.is_gone = True

    await rig.tracker.refresh()

    assert not rig.tracker.is_gone
    assert rig.health.status is Status.PENDING


async def test_a_404_of_a_target_that_was_never_seen_is_an_error(clock: VirtualClock) -> None:
    rig = Rig(clock)
    rig.source.is_gone = True

    with pytest.raises(NotFoundError):
        await rig.tracker.refresh()


@pytest.mark.parametrize(("target", "is_due"), [(EXECUTION, False), (TARGET, True)])
async def test_an_execution_that_has_ended_stays_so_and_a_deployment_may_not(
    clock: VirtualClock, target: Target, is_due: bool
) -> None:
    rig = Rig(clock, target=target)
    rig.source.status = Status.STOPPED
    await rig.tracker.refresh()
    await clock.sleep(60)

    assert rig.tracker.is_due() is is_due
