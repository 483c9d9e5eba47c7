"""When a 404 is to be believed. Pure.

Just after a creation the service may not know yet what it has been given, and one replica
may know less than another. So a 404 means something only when it is all that is heard.
"""

_ANSWERS = 3  # one may be a replica that lags, two its echo


class Absence:
    """Answers of 404 since the last other one: three, over `belief_s`. Times are monotonic."""

    def __init__(self, *, belief_s: float) -> None:
        self._belief_s = belief_s
        self._since_s: float | None = None
        self._now_s = 0.0
        self._answers = 0

    def note(self, now_s: float) -> None:
        self._since_s = now_s if self._since_s is None else self._since_s
        self._now_s = now_s
        self._answers += 1

    def end(self) -> None:
        self._since_s = None
        self._answers = 0

    @property
    def has_begun(self) -> bool:
        return self._since_s is not None

    @property
    def is_believed(self) -> bool:
        if self._since_s is None or self._answers < _ANSWERS:
            return False
        return self._now_s - self._since_s >= self._belief_s
