"""Asking again: without end, ever more slowly, and never two clients in step."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from tailer.clock import Clock
from tailer.errors import TransientApiError

log = structlog.get_logger()


Answered = TypeVar("Answered")
OnRetry: TypeAlias = Callable[[TransientApiError, float], None]
"""Told of each failure that will be followed by another try, and of the wait in seconds."""

BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 30.0  # an outage of an hour ends at most this much later for us
RETRY_AFTER_MAX_S = 300.0  # a longer wish is more likely a mistake than a plan
_MAX_DOUBLINGS = 16  # far past BACKOFF_MAX_S; without it an endless outage overflows


async def with_retries(
    attempt: Callable[[], Awaitable[Answered]],
    *,
    is_permanent: Callable[[TransientApiError], bool],
    on_retry: OnRetry,
    clock: Clock,
    rng: random.Random,
    count_retry: Callable[[], None],
) -> Answered:
    """What `attempt` returns, in the end. A first try that succeeds costs nothing extra.

    *Errors:* a TransientApiError is retried until `is_permanent` says otherwise and is then
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
        return isinstance(error, TransientApiError) and not is_permanent(error)

    def wait_s(state: RetryCallState) -> float:
        return pause_before_retry(_error(state), failures=state.attempt_number, rng=rng)

    def tell(state: RetryCallState) -> None:
        assert state.next_action is not None
        count_retry()
        on_retry(_error(state), state.next_action.sleep)

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


OUTAGE_S = 3.0  # a failure mended sooner is a hiccup that nobody needs to hear of


class OutageNotice:
    """Tells the user once when requests of a command go on failing."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        self._is_told = False

    def __call__(self, error: TransientApiError, retry_in_s: float) -> None:
        self._waited_s += retry_in_s
        if self._waited_s >= OUTAGE_S and not self._is_told:
            self._is_told = True
            log.warning("service_unavailable", error=error.message)


class RetryPause:
    """Pauses after refusals that only an operator, or time, may mend: ever longer, for the log.

    `note_well` says for how long it has been well since: a while makes the next pause short.
    """

    FIRST_S = 30.0
    LAST_S = 900.0

    def __init__(self) -> None:
        self._next_s = self.FIRST_S

    def pause_s(self) -> float:
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self.LAST_S)
        return pause_s

    def note_well(self, for_s: float) -> None:
        if for_s > self.LAST_S:
            self._next_s = self.FIRST_S
