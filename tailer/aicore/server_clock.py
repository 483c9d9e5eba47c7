"""The service's clock, seen from outside: a lower bound, never an estimate. Pure.

Law: at every moment `bound_ns(moment)` is at or before the service's true time. A `Date`
header was written before it arrived and has whole seconds, cut; so `date - monotonic at
receipt` is at most the true offset between the two clocks, and the largest sample is the
best one. The local wall clock has no part in it.
"""

from collections import deque

from tailer.timestamp import NS_PER_S

WINDOW_S = 300.0  # clocks drift apart by some 50 ppm: 15 ms in that time


class ServerClock:
    """The largest offset of the last minutes; the newest sample stays, however old."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()  # (received_s, offset_ns), falling

    def observe(self, date_ns: int, *, received_s: float) -> None:
        """An answer that arrived at the monotonic `received_s` was dated `date_ns`."""
        offset_ns = date_ns - _ns(received_s)
        while self._samples and self._samples[-1][1] <= offset_ns:
            self._samples.pop()
        self._samples.append((received_s, offset_ns))
        while self._samples[0][0] < received_s - WINDOW_S:
            self._samples.popleft()

    def bound_ns(self, moment_s: float) -> int | None:
        """The service's time was at least this at the monotonic `moment_s`; None if unseen."""
        return self._samples[0][1] + _ns(moment_s) if self._samples else None


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
