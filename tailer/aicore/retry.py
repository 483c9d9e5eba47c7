"""Asking again: without end, ever more slowly, and never two clients in step."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from tailer.aicore.traffic import Traffic
from tailer.clock import Clock
from tailer.errors import TransientApiError

Answered = TypeVar("Answered")
Trouble: TypeAlias = Callable[[TransientApiError, float], None]
"""Told of each failure that will be followed by another try, and of the wait in seconds."""

BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 30.0  # an outage of an hour ends at most this much later for us
RETRY_AFTER_MAX_S = 300.0  # a longer wish is more likely a mistake than a plan
_MAX_DOUBLINGS = 16  # far past BACKOFF_MAX_S; without it an endless outage overflows


async def with_retries(
    attempt: Callable[[], Awaitable[Answered]],
    *,
    is_hopeless: Callable[[TransientApiError], bool],
    on_trouble: Trouble,
    clock: Clock,
    rng: random.Random,
    traffic: Traffic,
) -> Answered:
    """What `attempt` returns, in the end. A first try that succeeds costs nothing extra.

    *Errors:* a TransientApiError is retried until `is_hopeless` says otherwise and is then
    raised; everything else is raised at once.
    """
    try:
        return await attempt()
    except TransientApiError as error:
        failed = error
    failures = [failed]

    async def next_attempt() -> Answered:
        if failures:  # tenacity counts from the try that has already been made
            raise failures.pop()
        return await attempt()

    def is_worth_another_try(error: BaseException) -> bool:
        return isinstance(error, TransientApiError) and not is_hopeless(error)

    def wait_s(state: RetryCallState) -> float:
        return pause_before_retry(_error(state), failures=state.attempt_number, rng=rng)

    def tell(state: RetryCallState) -> None:
        assert state.next_action is not None
        traffic.retries += 1
        on_trouble(_error(state), state.next_action.sleep)

    retrying = AsyncRetrying(
        sleep=clock.sleep,
        wait=wait_s,
        retry=retry_if_exception(is_worth_another_try),
        before_sleep=tell,
        reraise=True,
    )
    return await retrying(next_attempt)


def pause_before_retry(error: TransientApiError, *, failures: int, rng: random.Random) -> float:
    """Seconds: anything up to the exponential backoff, on top of the service's own wish.

    Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): clients
    that failed together come back spread out. A wish is a lower bound: everybody was told
    the same moment.
    """
    ceiling_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
    if error.retry_after_s is None:
        return rng.uniform(0.0, ceiling_s)
    return min(error.retry_after_s, RETRY_AFTER_MAX_S) + rng.uniform(0.0, BACKOFF_BASE_S)


def _error(state: RetryCallState) -> TransientApiError:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, TransientApiError)
    return error
