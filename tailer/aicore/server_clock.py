"""The service's clock, seen from outside: a lower bound, never an estimate. Pure.

Law: as long as most of the last answers were dated truly, `bound_ns(moment)` is at or
before the service's true time. A `Date` header was written before it arrived and has
whole seconds, cut; so `date - monotonic at receipt` is at most the true offset between
the two clocks. The largest sample would be the best bound, but one replica with a wrong
clock would then move the watermark past lines still to come. Hence the median: half a
second worse, and a lie has no weight. The local wall clock has no part in it.
"""

from collections import deque
from statistics import median_low

from tailer.timestamp import NS_PER_S

WINDOW_S = 300.0  # clocks drift apart by some 50 ppm: 15 ms in that time
SAMPLES = 15  # seven lies are outvoted, and a clock that was set is believed after eight answers


class ServerClock:
    """The median offset of the last answers; the newest stays, however old."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def observe(self, date_ns: int, *, received_s: float) -> None:
        """An answer that arrived at the monotonic `received_s` was dated `date_ns`."""
        self._samples.append((received_s, date_ns - _ns(received_s)))
        while self._samples[0][0] < received_s - WINDOW_S:
            self._samples.popleft()

    def bound_ns(self, moment_s: float) -> int | None:
        """The service's time was at least this at the monotonic `moment_s`; None if unseen."""
        if not self._samples:
            return None
        return median_low(offset_ns for _, offset_ns in self._samples) + _ns(moment_s)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
