"""What it cost to be answered."""

from collections import Counter
from dataclasses import dataclass, field

_OF_LATE_S = 300.0


class Queue:
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
class Traffic:
    """`requests` were sent in all, without those for tokens; `retries` of them were not the first.

    A retry asks the same again: after trouble, or with a new token. `answers` counts statuses;
    0 is no answer, or none that was whole.
    """

    requests: int = 0
    retries: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    queue: Queue = field(default_factory=Queue)
