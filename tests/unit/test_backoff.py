import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.backoff import BACKOFF_BASE_S, BACKOFF_MAX_S, RETRY_AFTER_MAX_S, pause_before_retry
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
