"""When a target that has ended may be left. Pure.

Its last lines may still be on their way: they appear within the lateness of their own
timestamps. So it is read on until a drain time has passed with nothing new.
"""

from tailer.model import Workload
from tailer.timestamp import NS_PER_S, parse_ns


class Ending:
    """`has_begun` from a terminal status on, until another one. Times of `now_s` are monotonic."""

    def __init__(self, *, drain_s: float, lateness_s: float) -> None:
        self._drain_s = drain_s
        self._settled_s = drain_s + lateness_s
        self._quiet_since_s: float | None = None
        self._alive_s = float("-inf")

    @property
    def has_begun(self) -> bool:
        return self._quiet_since_s is not None

    def note_status(self, workload: Workload, *, now_s: float, server_now_ns: int) -> None:
        """A target that says when it ended counts from then: an old one needs one read.

        Never from before it was last seen not to have ended, whatever it says.
        """
        if not workload.status.is_terminal:
            self._quiet_since_s = None
            self._alive_s = now_s
        elif self._quiet_since_s is None:
            self._quiet_since_s = max(self._alive_s, now_s - _ended_ago_s(workload, server_now_ns))

    def is_over_after(self, read_began_s: float, *, found_lines: bool) -> bool:
        """Whether the whole read that began then was the last one needed."""
        if self._quiet_since_s is None:
            return False
        quiet_s = read_began_s - self._quiet_since_s
        if found_lines and quiet_s < self._settled_s:
            self._quiet_since_s = read_began_s
            return False
        return quiet_s >= self._drain_s


def _ended_ago_s(workload: Workload, server_now_ns: int) -> float:
    try:
        ended_ns = parse_ns(workload.completion_time)
    except ValueError:
        return 0.0
    return max(0.0, (server_now_ns - ended_ns) / NS_PER_S)
