import pytest
from support.fakes import TARGET

from tailer.model import Status, Workload
from tailer.polling.target_status import Drain
from tailer.timestamp import NS_PER_S, format_ns

NOW_NS = 1_700_000_000 * NS_PER_S


def ended(*, ago_s: float | None = None, status: Status = Status.COMPLETED) -> Workload:
    time = "" if ago_s is None else format_ns(NOW_NS - round(ago_s * NS_PER_S))
    return Workload(TARGET, status, completion_time=time)


def ending(workload: Workload) -> Drain:
    one = Drain(drain_s=10, lateness_s=60)
    one.record_status(workload, now_s=100, server_now_ns=NOW_NS)
    return one


@pytest.mark.parametrize("status", [one for one in Status if not one.is_terminal])
def test_a_target_that_may_still_run_does_not_end(status: Status) -> None:
    one = ending(ended(ago_s=1000, status=status))

    assert not one.has_begun
    assert not one.is_over_after(10_000, found_lines=False)


def test_a_target_ends_after_a_drain_time_without_lines() -> None:
    one = ending(ended())

    assert not one.is_over_after(109, found_lines=False)
    assert one.is_over_after(110, found_lines=False)


def test_a_new_line_starts_the_drain_time_anew() -> None:
    one = ending(ended())

    assert not one.is_over_after(110, found_lines=True)
    assert not one.is_over_after(119, found_lines=False)
    assert one.is_over_after(120, found_lines=False)


def test_a_target_that_ended_before_the_lateness_needs_one_read() -> None:
    assert ending(ended(ago_s=70)).is_over_after(100, found_lines=True)


def test_a_target_that_ended_shortly_ago_is_read_again_when_it_had_lines() -> None:
    assert not ending(ended(ago_s=69)).is_over_after(100, found_lines=True)


def test_an_end_in_the_future_counts_from_now() -> None:
    assert not ending(ended(ago_s=-100)).is_over_after(105, found_lines=False)
