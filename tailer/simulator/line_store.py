"""The stored lines of one target, and the log query."""

import bisect
from collections.abc import Iterable, Iterator

import msgspec

from tailer.model import Order
from tailer.simulator.requests import LogQuery
from tailer.simulator.settings import Dialect
from tailer.timestamp import NS_PER_MS

_DELETED_PART = 10  # delete 1/10 of the lines at once: deleting at the front moves the others


class Line(msgspec.Struct, frozen=True, gc=False):
    """`json` is the entry exactly as the service sends it."""

    at_ns: int
    visible_ns: int
    json: bytes
    hidden_from_ns: int = 0
    hidden_until_ns: int = 0
    is_twin: bool = False
    is_scripted: bool = False  # added by a test, not generated


class LineStore:
    """Lines ordered by time; lines of the same time are in order of arrival.

    The order of equal times never changes, and `desc` is the exact reverse of `asc`.
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
                index = bisect.bisect_right(self._at_ns, line.at_ns)
                self._at_ns.insert(index, line.at_ns)
                self._lines.insert(index, line)

    def delete_after(self, at_ns: int) -> None:
        """Delete the generated lines later than `at_ns`."""
        index = bisect.bisect_right(self._at_ns, at_ns)
        scripted = [line for line in self._lines[index:] if line.is_scripted]
        del self._at_ns[index:], self._lines[index:]
        self.add(scripted)

    def delete_before(self, at_ns: int) -> None:
        """Delete the lines older than `at_ns`, once they are a tenth of all lines."""
        index = bisect.bisect_left(self._at_ns, at_ns)
        if index * _DELETED_PART > len(self._at_ns):
            del self._at_ns[:index], self._lines[:index]

    def query(self, query: LogQuery, *, now_ns: int) -> list[bytes]:
        """The entries of the first `top` visible lines in the range, in the wanted order."""
        dialect, start_ns, end_ns = self._dialect, query.start_ns, query.end_ns
        before_start = bisect.bisect_left if dialect.start_inclusive else bisect.bisect_right
        after_end = bisect.bisect_right if dialect.end_inclusive else bisect.bisect_left
        if dialect.retention_s:
            start_ns = max(start_ns, now_ns - round(dialect.retention_s * 1e9))
        first = before_start(self._at_ns, start_ns - start_ns % self._step_ns)
        past = after_end(self._at_ns, end_ns - end_ns % self._step_ns)
        found: list[bytes] = []
        for index in range(first, past)[:: 1 if query.order is Order.ASC else -1]:
            line = self._lines[index]
            is_hidden = line.hidden_from_ns <= now_ns < line.hidden_until_ns
            if line.visible_ns <= now_ns and not is_hidden:
                found.append(line.json)
                if len(found) == query.top:
                    break
        return found
