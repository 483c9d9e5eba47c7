"""Lower bound of the service's clock, from the Date headers of its responses. Pure.

Law: as long as most of the recent Date headers are correct, `bound_ns(moment)` is at or before
the service's true time. A `Date` header was written before it arrived and has whole seconds,
truncated; so `date - monotonic at receipt` is at most the true offset between the two clocks.
The largest sample would be the closest bound, but a single replica with a wrong clock would
then move the watermark past lines still to come. Hence the median: half a second lower, and a
minority of wrong clocks has no effect. The local wall clock is not used.
"""

from collections import deque
from statistics import median_low

from tailer.timestamp import NS_PER_S

WINDOW_S = 300.0  # clocks drift apart by some 50 ppm: 15 ms in that time
SAMPLES = 15  # tolerates seven wrong ones; a clock that was set counts after eight responses


class ServerClock:
    """Median offset of the last responses. The newest sample never expires."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def observe(self, date_ns: int, *, received_s: float) -> None:
        """Add the Date header of a response that arrived at the monotonic `received_s`."""
        self._samples.append((received_s, date_ns - _ns(received_s)))
        while self._samples[0][0] < received_s - WINDOW_S:
            self._samples.popleft()

    def bound_ns(self, moment_s: float) -> int | None:
        """Lower bound of the service's time at the monotonic `moment_s`; None without samples."""
        if not self._samples:
            return None
        return median_low(offset_ns for _, offset_ns in self._samples) + _ns(moment_s)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
