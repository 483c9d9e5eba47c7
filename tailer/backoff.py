"""Retry policy: exponential backoff with full jitter, without end, on tenacity.

Also the pause after a refusal, which grows, and the notice that reports an outage once.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeAlias, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from tailer.clock import Clock, SystemClock
from tailer.errors import TailerError, TransientApiError

log = structlog.get_logger()

Answered = TypeVar("Answered")
OnRetry: TypeAlias = Callable[[TransientApiError, float], None]
"""Called with each failure that is retried, and with the pause before the retry in seconds."""

BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 30.0  # a recovery is noticed at most this much later
RETRY_AFTER_MAX_S = 300.0  # a larger `Retry-After` is more likely a mistake
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
    """Call `attempt` until it succeeds.

    *Errors:* a TransientApiError is retried unless `is_permanent(error)`, and is raised then.
    Every other error is raised at once.
    """

    def is_retried(error: BaseException) -> bool:
        return isinstance(error, TransientApiError) and not is_permanent(error)

    def wait_s(state: RetryCallState) -> float:
        return pause_before_retry(_error(state), failures=state.attempt_number, rng=rng)

    def report(state: RetryCallState) -> None:
        assert state.next_action is not None
        count_retry()
        on_retry(_error(state), state.next_action.sleep)

    retrying = AsyncRetrying(
        sleep=clock.sleep,
        wait=wait_s,
        retry=retry_if_exception(is_retried),
        before_sleep=report,
        reraise=True,
    )
    return await retrying(attempt)


def pause_before_retry(error: TransientApiError, *, failures: int, rng: random.Random) -> float:
    """Seconds: random, from zero up to the exponential backoff; never less than `Retry-After`.

    Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015) spreads the
    retries of clients that failed together. `Retry-After` is a lower bound with jitter on
    top, because the service sends the same value to every client.
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


OUTAGE_S = 3.0  # a shorter outage is not reported


@dataclass(slots=True)
class OutageNotice:
    """Log an outage once: event `failing` when it has lasted `after_s`, `recovered` at its end.

    It is an OnRetry. `fields` name the component in both events. With `each_error` an error
    that differs from the one reported last is reported, too.
    """

    failing: str = "service_unavailable"
    recovered: str = ""
    _: KW_ONLY
    fields: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    after_s: float = OUTAGE_S
    each_error: bool = False
    _since_s: float | None = field(init=False, default=None)
    _reported: str = field(init=False, default="")  # the error of the last notice

    def __call__(self, error: TailerError, retry_in_s: float) -> None:
        """Record a failure that is retried in `retry_in_s`."""
        now_s = self.clock.monotonic_s()
        self._since_s = now_s if self._since_s is None else self._since_s
        for_s = now_s - self._since_s
        text = str(error)
        is_reported = self._reported and (not self.each_error or text == self._reported)
        if not is_reported and for_s + retry_in_s >= self.after_s:
            self._reported = text
            for_s, retry_in_s = round(for_s, 1), round(retry_in_s, 1)
            log.warning(self.failing, **self.fields, error=text, for_s=for_s, retry_in_s=retry_in_s)

    def end(self) -> None:
        """Record a success."""
        if self._reported and self._since_s is not None:
            after_s = round(self.clock.monotonic_s() - self._since_s, 1)
            log.info(self.recovered, **self.fields, after_s=after_s)
        self._since_s, self._reported = None, ""


class RetryPause:
    """Pauses after refusals, which only an operator or time can end: 30 s, doubled up to 900 s."""

    FIRST_S = 30.0
    LAST_S = 900.0

    def __init__(self) -> None:
        self._next_s = self.FIRST_S

    def pause_s(self) -> float:
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self.LAST_S)
        return pause_s

    def record_success(self, for_s: float) -> None:
        """Start again with the first pause if the last attempt worked for longer than 900 s."""
        if for_s > self.LAST_S:
            self._next_s = self.FIRST_S
