"""Retry pauses with jitter, the growing pause after rejections, and the notice of an outage."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.virtual_time import VirtualClock

from tailer.backoff import (
    BACKOFF_BASE_S,
    BACKOFF_MAX_S,
    RETRY_AFTER_MAX_S,
    OutageNotice,
    RetryPause,
    pause_before_retry,
)
from tailer.errors import TransientApiError

failures = st.integers(1, 10**9)
seeds = st.integers()


@given(failures, seeds)
def test_a_pause_is_between_zero_and_the_maximum(failures: int, seed: int) -> None:
    pause_s = pause_before_retry(TransientApiError("x"), failures=failures, rng=random.Random(seed))

    assert 0 <= pause_s <= BACKOFF_MAX_S


@pytest.mark.parametrize(
    ("failures", "ceiling_s"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (99, 30)]
)
def test_the_ceiling_doubles_with_each_failure(failures: int, ceiling_s: float) -> None:
    rng = random.Random(1)

    pauses = [
        pause_before_retry(TransientApiError("x"), failures=failures, rng=rng) for _ in range(500)
    ]

    assert max(pauses) == pytest.approx(ceiling_s, rel=0.05)
    assert sum(pauses) / len(pauses) == pytest.approx(ceiling_s / 2, rel=0.1)


@given(st.floats(0, 1e12), failures, seeds)
def test_retry_after_is_a_lower_bound_up_to_its_maximum(
    wish_s: float, failures: int, seed: int
) -> None:
    error = TransientApiError("x", retry_after_s=wish_s)

    pause_s = pause_before_retry(error, failures=failures, rng=random.Random(seed))

    granted_s = min(wish_s, RETRY_AFTER_MAX_S)
    assert granted_s <= pause_s <= granted_s + BACKOFF_BASE_S


def listing_notice(clock: VirtualClock, *, each_error: bool = False) -> OutageNotice:
    return OutageNotice(
        "list_failed",
        "list_recovered",
        fields={"what": "executions in default"},
        clock=clock,
        each_error=each_error,
    )


async def test_an_outage_shorter_than_three_seconds_is_not_reported(clock: VirtualClock) -> None:
    notice = listing_notice(clock)

    with capture_logs() as events:
        notice(TransientApiError("reset"), 0.5)
        await clock.sleep(0.5)
        notice.end()

    assert events == []


async def test_an_outage_and_its_end_are_reported_once(clock: VirtualClock) -> None:
    notice = listing_notice(clock)

    with capture_logs() as events:
        for error in ("503", "502", "503", "502"):
            notice(TransientApiError(error), 2.0)
            await clock.sleep(2.0)
        notice.end()

    named = {"what": "executions in default"}
    failed = {"event": "list_failed", "log_level": "warning", "error": "502"}
    recovered = {"event": "list_recovered", "log_level": "info", "after_s": 8.0}
    assert events == [failed | named | {"for_s": 2.0, "retry_in_s": 2.0}, recovered | named]


async def test_an_outage_after_a_recovery_is_reported_again(clock: VirtualClock) -> None:
    notice = listing_notice(clock)

    with capture_logs() as events:
        for _ in range(2):
            notice(TransientApiError("503"), 5.0)
            notice.end()

    assert [one["event"] for one in events] == ["list_failed", "list_recovered"] * 2


async def test_a_changed_error_is_reported_if_configured(clock: VirtualClock) -> None:
    notice = listing_notice(clock, each_error=True)

    with capture_logs() as events:
        for error in ("refused", "refused", "not trusted", "refused"):
            notice(TransientApiError(error), 5.0)

    assert [one["error"] for one in events] == ["refused", "not trusted", "refused"]


def test_pauses_after_refusals_double_up_to_a_quarter_of_an_hour() -> None:
    pause = RetryPause()

    assert [pause.pause_s() for _ in range(7)] == [30, 60, 120, 240, 480, 900, 900]


def test_a_pause_is_short_again_only_after_a_success_that_lasted() -> None:
    pause = RetryPause()
    for _ in range(3):
        pause.pause_s()

    pause.record_success(RetryPause.LAST_S)
    after_short = pause.pause_s()
    pause.record_success(RetryPause.LAST_S + 1)

    assert (after_short, pause.pause_s()) == (240, 30)
