"""Token bucket shared by all requests; request statistics and queue times. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from math import inf

BURST_S = 0.5  # unused tokens of this time may be spent at once
FLOOR_SHARE = 1 / 32  # five halvings down; below that even one target would starve
RECOVERY_S = 60.0  # from zero back to the full rate: services usually count per minute
_EARLY_S = 1e-6  # shorter waits are below the resolution of timers


class RateLimiter:
    """Token bucket for the requests of all targets together.

    A 429 or 503 halves the rate; the rate then grows back linearly. Requests that were sent
    before the last halving do not halve again, so a burst of refusals halves once. `now_s`
    is monotonic; a step back counts as no time.
    """

    def __init__(self, requests_per_s: float) -> None:
        if not requests_per_s > 0:
            raise ValueError(f"requests_per_s must be above 0, not {requests_per_s}")
        self.full_per_s = self._rate_per_s = requests_per_s
        self._burst = self._tokens = max(1.0, requests_per_s * BURST_S)
        self._now_s = self._halved_s = -inf

    def limit(self, requests_per_s: float) -> None:
        """Set another full rate; a halved rate grows back to it."""
        share = self._rate_per_s / self.full_per_s
        self.full_per_s = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._rate_per_s = requests_per_s * share

    def rate_per_s(self, now_s: float) -> float:
        self._advance(now_s)
        return self._rate_per_s

    def available(self, now_s: float) -> float:
        """Tokens: how many requests may be sent at once now; below 1 the next must wait."""
        self._advance(now_s)
        return self._tokens

    def wait_s(self, now_s: float) -> float:
        """Time until the next request may be sent."""
        self._advance(now_s)
        short_s = (1.0 - self._tokens) / self._rate_per_s
        return short_s if short_s > _EARLY_S else 0.0

    def take(self, now_s: float) -> None:
        """Use the token of a request that is sent now."""
        self._advance(now_s)
        self._tokens -= 1.0

    def halve(self, now_s: float, *, sent_s: float) -> None:
        """The service refused a request, sent at `sent_s`, because of its rate."""
        self._advance(now_s)
        if sent_s < self._halved_s:
            return
        self._rate_per_s = max(self.full_per_s * FLOOR_SHARE, self._rate_per_s / 2)
        self._tokens = min(self._tokens, 0.0)
        self._halved_s = now_s

    def _advance(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._now_s)
        self._now_s = max(self._now_s, now_s)
        self._tokens = min(self._burst, self._tokens + elapsed_s * self._rate_per_s)
        recovered_per_s = elapsed_s * self.full_per_s / RECOVERY_S
        self._rate_per_s = min(self.full_per_s, self._rate_per_s + recovered_per_s)


_PERIOD_S = 300.0


class QueueTimes:
    """How long requests waited in the queue, in this and the previous 300 s. Monotonic."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._last_ticket = 0
        self._period_s = 0.0
        self._longest_s = self._longest_before_s = 0.0  # in this period and the previous one

    def enter(self, now_s: float) -> int:
        """A ticket, for `leave`."""
        self._last_ticket += 1
        self._arrivals[self._last_ticket] = now_s
        return self._last_ticket

    def leave(self, ticket: int, now_s: float) -> None:
        """The request has its turn, or was canceled."""
        waited_s = now_s - self._arrivals.pop(ticket)
        self._start_period(now_s)
        self._longest_s = max(self._longest_s, waited_s)

    def longest_s(self, now_s: float) -> float:
        """The longest wait in both periods, including requests that are still waiting."""
        self._start_period(now_s)
        first_s = next(iter(self._arrivals.values()), now_s)
        return max(self._longest_s, self._longest_before_s, now_s - first_s)

    def _start_period(self, now_s: float) -> None:
        if now_s - self._period_s >= _PERIOD_S:
            is_next = now_s - self._period_s < 2 * _PERIOD_S
            self._longest_before_s = self._longest_s if is_next else 0.0
            self._longest_s, self._period_s = 0.0, now_s


@dataclass(slots=True)
class RequestStatistics:
    """`requests` counts API requests, without those for tokens; `retries` those sent again.

    A retry follows a failure or a new token. `answers` counts status codes; 0 stands for no
    response or an incomplete one.
    """

    requests: int = 0
    retries: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    queue: QueueTimes = field(default_factory=QueueTimes)

    def count_retry(self) -> None:
        self.retries += 1
