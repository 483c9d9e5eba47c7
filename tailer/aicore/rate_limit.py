"""What it cost to be answered."""

from collections import Counter
from dataclasses import dataclass, field

BURST_S = 0.5  # this much unused budget may be spent at once
FLOOR_SHARE = 1 / 32  # five halvings down; below that even one target would starve
RECOVERY_S = 60.0  # from nothing back to the full rate: limits are usually counted per minute
_EARLY_S = 1e-6  # a wait below the resolution of timers is none


class RateLimiter:
    """What all targets together may ask: a token bucket that yields to a service in trouble.

    A refusal (429, 503) halves the rate, and time gives it back additively. Refusals of
    requests that were sent before the last halving say nothing about the new rate, so a
    burst of them halves once. `now_s` is monotonic; a step back counts as no time.
    """

    def __init__(self, requests_per_s: float) -> None:
        if not requests_per_s > 0:
            raise ValueError(f"requests_per_s must be above 0, not {requests_per_s}")
        self.full_per_s = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._rate_per_s = requests_per_s
        self._allowance = self._burst
        self._now_s: float | None = None
        self._halved_s: float | None = None

    def limit(self, requests_per_s: float) -> None:
        """Another rate from now on; a rate that was halved comes back to that."""
        share = self._rate_per_s / self.full_per_s
        self.full_per_s = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._rate_per_s = requests_per_s * share

    def rate_per_s(self, now_s: float) -> float:
        self._advance(now_s)
        return self._rate_per_s

    def available(self, now_s: float) -> float:
        """How many requests may be sent at once now; below 1 one has to wait."""
        self._advance(now_s)
        return self._allowance

    def wait_s(self, now_s: float) -> float:
        """How long until one more request may be sent; 0 when it may be sent now."""
        self._advance(now_s)
        short_s = (1.0 - self._allowance) / self._rate_per_s
        return short_s if short_s > _EARLY_S else 0.0

    def take(self, now_s: float) -> None:
        """One request is sent now."""
        self._advance(now_s)
        self._allowance -= 1.0

    def halve(self, now_s: float, *, sent_s: float) -> None:
        """The service refused a request that was sent at `sent_s`: it is asked too much."""
        self._advance(now_s)
        if self._halved_s is not None and sent_s < self._halved_s:
            return
        self._rate_per_s = max(self.full_per_s * FLOOR_SHARE, self._rate_per_s / 2)
        self._allowance = min(self._allowance, 0.0)
        self._halved_s = now_s

    def _advance(self, now_s: float) -> None:
        elapsed_s = 0.0 if self._now_s is None else max(0.0, now_s - self._now_s)
        self._now_s = now_s if self._now_s is None else max(self._now_s, now_s)
        self._allowance = min(self._burst, self._allowance + elapsed_s * self._rate_per_s)
        regained_per_s = elapsed_s * self.full_per_s / RECOVERY_S
        self._rate_per_s = min(self.full_per_s, self._rate_per_s + regained_per_s)


_OF_LATE_S = 300.0


class QueueTimes:
    """For how long requests wait for their turn. First come, first served; monotonic."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._last_ticket = 0
        self._period_s = 0.0
        self._longest_s = self._longest_before_s = 0.0  # in this period, and in the one before

    def enter(self, now_s: float) -> int:
        """A ticket, for `leave`."""
        self._last_ticket += 1
        self._arrivals[self._last_ticket] = now_s
        return self._last_ticket

    def leave(self, ticket: int, now_s: float) -> None:
        """It is served, or has given up."""
        waited_s = now_s - self._arrivals.pop(ticket)
        self._turn_over(now_s)
        self._longest_s = max(self._longest_s, waited_s)

    def longest_s(self, now_s: float) -> float:
        """The longest wait of the last minutes; also of those who are still waiting."""
        self._turn_over(now_s)
        first_s = next(iter(self._arrivals.values()), now_s)
        return max(self._longest_s, self._longest_before_s, now_s - first_s)

    def _turn_over(self, now_s: float) -> None:
        if now_s - self._period_s >= _OF_LATE_S:
            is_next = now_s - self._period_s < 2 * _OF_LATE_S
            self._longest_before_s = self._longest_s if is_next else 0.0
            self._longest_s, self._period_s = 0.0, now_s


@dataclass(slots=True)
class RequestStatistics:
    """`requests` were sent in all, without those for tokens; `retries` of them were not the first.

    A retry asks the same again: after trouble, or with a new token. `answers` counts statuses;
    0 is no answer, or none that was whole.
    """

    requests: int = 0
    retries: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    queue: QueueTimes = field(default_factory=QueueTimes)

    def count_retry(self) -> None:
        self.retries += 1
