import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.aicore.rate_limit import BURST_S, FLOOR_SHARE, RECOVERY_S, RateLimiter
from tailer.config.settings import PaceSettings
from tailer.polling.pacing import pause_after

seconds = st.floats(min_value=0.001, max_value=3600)
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)
settings = st.builds(PaceSettings, interval_s=seconds, idle_interval_s=seconds)


@given(st.floats(0, 3600), settings, jitters)
def test_new_lines_bring_the_pace_back_to_one_interval(
    previous_s: float, pace: PaceSettings, jitter: float
) -> None:
    pause_s = pause_after(previous_s, found_lines=True, settings=pace, jitter=jitter)

    assert pause_s == pace.interval_s


@given(st.floats(0, 3600), settings, jitters)
def test_an_idle_pause_stays_between_the_interval_and_the_idle_interval(
    previous_s: float, pace: PaceSettings, jitter: float
) -> None:
    pause_s = pause_after(previous_s, found_lines=False, settings=pace, jitter=jitter)

    assert pace.interval_s <= pause_s <= max(pace.interval_s, pace.idle_interval_s)


@given(st.lists(jitters, min_size=12, max_size=12))
def test_a_dozen_silent_polls_reach_the_idle_pace_whatever_the_jitter(dice: list[float]) -> None:
    pause_s = 0.0
    pauses = []
    for jitter in dice:
        pause_s = pause_after(pause_s, found_lines=False, settings=PaceSettings(), jitter=jitter)
        pauses.append(pause_s)

    assert pauses[-1] >= 0.8 * 15
    assert pauses[0] < 2


def spend(budget: RateLimiter, *, until_s: float, start_s: float = 0.0) -> list[float]:
    """When a greedy caller's requests pass."""
    passed: list[float] = []
    now_s = start_s
    while True:
        now_s += budget.wait_s(now_s)
        if now_s > until_s:
            return passed
        budget.take(now_s)
        passed.append(now_s)


@given(st.floats(0.1, 200), st.floats(0.1, 20))
def test_no_stretch_of_time_sees_more_than_the_rate_and_one_burst(
    rate_per_s: float, until_s: float
) -> None:
    passed = spend(RateLimiter(rate_per_s), until_s=until_s)

    assert len(passed) <= rate_per_s * until_s + max(1.0, rate_per_s * BURST_S) + 1e-3


def test_a_greedy_caller_gets_the_whole_rate() -> None:
    passed = spend(RateLimiter(20), until_s=10)

    assert len(passed) == pytest.approx(20 * 10 + 10, abs=1)


def test_a_refusal_halves_the_rate_and_forfeits_the_burst() -> None:
    budget = RateLimiter(20)

    budget.halve(0.0, sent_s=0.0)

    assert budget.rate_per_s(0.0) == 10
    assert budget.wait_s(0.0) == pytest.approx(0.1)


def test_refusals_of_requests_sent_before_the_halving_do_not_halve_again() -> None:
    budget = RateLimiter(20)

    for answered_s in (1.0, 1.1, 1.2):
        budget.halve(answered_s, sent_s=0.9)

    assert budget.rate_per_s(1.2) == pytest.approx(10, rel=0.01)


@given(st.integers(1, 40))
def test_refusals_never_push_the_rate_below_its_floor(refusals: int) -> None:
    budget = RateLimiter(32)

    for now_s in range(refusals):
        budget.halve(now_s * 1e-3, sent_s=now_s * 1e-3)

    assert budget.rate_per_s(refusals * 1e-3) >= 32 * FLOOR_SHARE


def test_the_rate_recovers_up_to_the_configured_rate() -> None:
    budget = RateLimiter(20)
    budget.halve(0.0, sent_s=0.0)

    rates = [budget.rate_per_s(RECOVERY_S * share) for share in (0.25, 0.5, 5)]

    assert rates == [pytest.approx(15), pytest.approx(20), 20]


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    budget = RateLimiter(1)
    budget.take(100.0)

    waits = [budget.wait_s(100.0), budget.wait_s(50.0), budget.wait_s(100.0)]

    assert waits == [1, 1, 1]


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(0)
