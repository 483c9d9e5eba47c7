"""A log store in memory that plays every dialect the real one may speak.

Knows nothing of the code under test: a line is shown when it is visible, not hidden, and
inside the range, by the store's own idea of a range.
"""

from dataclasses import dataclass, field

from tailer.model import Entry, Order, Page
from tailer.timestamp import NS_PER_MS, format_ns


@dataclass(slots=True)
class StoredLine:
    time_ns: int
    entry: Entry
    visible_from_ns: int
    is_hidden: bool = False


@dataclass(slots=True)
class MemoryService:
    """Times go in as nanoseconds; a millisecond store cuts them, and the bounds it is asked for."""

    start_is_exclusive: bool = False
    end_is_inclusive: bool = False
    store_step_ns: int = 1
    overlooks_order: bool = False
    lines: list[StoredLine] = field(default_factory=list)

    def add(self, time_ns: int, msg: str, *, pod: str = "p", visible_from_ns: int = 0) -> Entry:
        time_ns -= time_ns % self.store_step_ns
        text = format_ns(time_ns)
        if self.store_step_ns == 1 and len(text) < len("2024-01-01T00:00:00.000000000Z"):
            text = text[:-1] + "000000Z"
        entry = Entry(timestamp=text, pod=pod, msg=msg)
        self.lines.append(StoredLine(time_ns, entry, visible_from_ns))
        self.lines.sort(key=lambda line: line.time_ns)
        return entry

    def get(self, start_ns: int, end_ns: int, *, top: int, order: Order, now_ns: int) -> Page:
        start_ns -= start_ns % self.store_step_ns
        end_ns -= end_ns % self.store_step_ns
        shown = [
            line
            for line in self.lines
            if line.visible_from_ns <= now_ns
            and not line.is_hidden
            and start_ns <= line.time_ns <= end_ns
            and not (self.start_is_exclusive and line.time_ns == start_ns)
            and (self.end_is_inclusive or line.time_ns < end_ns)
        ]
        if order is Order.DESC and not self.overlooks_order:
            shown.reverse()
        return Page(tuple(line.entry for line in shown[:top]), top=top, server_now_ns=now_ns)


DIALECTS = [
    MemoryService(
        start_is_exclusive=start_is_exclusive,
        end_is_inclusive=end_is_inclusive,
        store_step_ns=store_step_ns,
    )
    for start_is_exclusive in (False, True)
    for end_is_inclusive in (False, True)
    for store_step_ns in (1, NS_PER_MS)
]
