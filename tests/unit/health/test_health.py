from dataclasses import replace

from support.fakes import TARGET

from tailer.health.health import Health
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Gap, GapReason


def test_entering_the_same_phase_again_is_no_change() -> None:
    health = TargetHealth(TARGET)

    assert health.enter(Phase.FOLLOWING, now_s=1)
    assert not health.enter(Phase.FOLLOWING, now_s=2)
    assert health.since_s == 1


def test_an_outage_shows_until_it_ends_and_then_what_was_before() -> None:
    health = TargetHealth(TARGET, phase=Phase.DRAINING)
    health.fail(now_s=10, retry_in_s=2, reason="503")
    during = health.phase
    health.recover(now_s=12)

    assert (during, health.phase) == (Phase.BACKING_OFF, Phase.DRAINING)


def test_a_gap_found_again_by_every_read_counts_once() -> None:
    health = Health()
    gap = Gap(TARGET, 1, 2, GapReason.SATURATED)

    assert health.of(TARGET).record_gap(gap)
    assert not health.of(TARGET).record_gap(gap)
    assert health.gaps == {GapReason.SATURATED: 1}


def test_many_retired_targets_are_kept_only_as_sums() -> None:
    health = Health()
    for number in range(1500):
        target = replace(TARGET, id=f"e{number}")
        health.of(target).totals.lines += 2
        health.of(target).record_gap(Gap(target, 0, 1, GapReason.GONE))
        health.retire(target)

    assert len(health.targets) == 1000
    assert (health.retired, health.past.lines) == (1500, 1000)
    assert health.gaps == {GapReason.GONE: 1500}
