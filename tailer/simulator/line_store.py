"""The lines of one target: when each was written, and from when on the service shows it."""

import bisect
from collections.abc import Iterable, Iterator

import msgspec

from tailer.model import Order
from tailer.simulator.settings import Dialect
from tailer.timestamp import NS_PER_MS

_WORTH_FORGETTING = 10  # one line in so many: deleting at the front moves all the others


class Line(msgspec.Struct, frozen=True, gc=False):
    """`json` is the entry exactly as the service sends it."""

    at_ns: int
    visible_ns: int
    json: bytes
    hidden_from_ns: int = 0
    hidden_until_ns: int = 0
    is_twin: bool = False
    is_scripted: bool = False  # put in by a test, not written by a story

    def is_shown(self, now_ns: int) -> bool:
        return (
            self.visible_ns <= now_ns and not self.hidden_from_ns <= now_ns < self.hidden_until_ns
        )


class LineStore:
    """Ordered by the lines' own time; those of one instant by arrival here.

    The order among equals never changes, and `desc` is the exact reverse of `asc`.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._step_ns = NS_PER_MS if dialect.resolution == "ms" else 1
        self._at_ns: list[int] = []
        self._lines: list[Line] = []

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def add(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if not self._at_ns or self._at_ns[-1] <= line.at_ns:
                self._at_ns.append(line.at_ns)
                self._lines.append(line)
            else:
                place = bisect.bisect_right(self._at_ns, line.at_ns)
                self._at_ns.insert(place, line.at_ns)
                self._lines.insert(place, line)

    def forget_after(self, at_ns: int) -> None:
        """Drop what a story says later than `at_ns`, because it has ended."""
        place = bisect.bisect_right(self._at_ns, at_ns)
        scripted = [line for line in self._lines[place:] if line.is_scripted]
        del self._at_ns[place:], self._lines[place:]
        self.add(scripted)

    def forget_before(self, at_ns: int) -> None:
        """Drop the lines older than `at_ns`, once there are enough of them to be worth it."""
        place = bisect.bisect_left(self._at_ns, at_ns)
        if place * _WORTH_FORGETTING > len(self._at_ns):
            del self._at_ns[:place], self._lines[:place]

    def query(
        self, *, start_ns: int, end_ns: int, top: int, order: Order, now_ns: int
    ) -> list[bytes]:
        """The first `top` visible lines between the two times, seen from the end of `order`."""
        dialect = self._dialect
        before_start = bisect.bisect_left if dialect.start_inclusive else bisect.bisect_right
        after_end = bisect.bisect_right if dialect.end_inclusive else bisect.bisect_left
        if dialect.retention_s:
            start_ns = max(start_ns, now_ns - round(dialect.retention_s * 1e9))
        first = before_start(self._at_ns, self._coarse(start_ns))
        past = after_end(self._at_ns, self._coarse(end_ns))
        step = 1 if order is Order.ASC else -1
        places = range(first, past)[::step]
        found: list[bytes] = []
        for place in places:
            line = self._lines[place]
            if line.is_shown(now_ns):
                found.append(line.json)
                if len(found) == top:
                    break
        return found

    def _coarse(self, at_ns: int) -> int:
        return at_ns - at_ns % self._step_ns
