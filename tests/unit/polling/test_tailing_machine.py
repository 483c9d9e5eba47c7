"""Window and cursor against every store, with lines late, twinned, cut, hidden, and crashes.

Two letters as messages and four lines a page are deliberate: small alphabets collide, and
collisions are the bug. Time counts in milliseconds, with a nanosecond or two between
neighbors.
"""

from collections import Counter
from copy import deepcopy

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.memory_service import DIALECTS, MemoryService, StoredLine

from tailer.model import Entry, Window
from tailer.polling.cursor import Cursor
from tailer.polling.pages import ServiceDialect
from tailer.polling.range_reader import RangeReader
from tailer.timestamp import NS_PER_MS

TOP = 4
LATENESS_NS = 20 * NS_PER_MS
EDGE_NS = 5 * NS_PER_MS
MARGIN_NS = 30 * NS_PER_MS
START_NS = 1_700_000_000_000 * NS_PER_MS
MAX_READS = 500


class TailingWithCrashes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.service = MemoryService()
        self.now_ns = START_NS
        self.delivered: list[tuple[int, Entry]] = []  # the spool: lines, and the watermark
        self.stored_watermark_ns = START_NS
        self.gaps: list[Window] = []
        self._restart()

    @initialize(service=st.sampled_from(DIALECTS))
    def meet(self, service: MemoryService) -> None:
        self.service = deepcopy(service)

    def _restart(self) -> None:
        self.cursor = Cursor(self.stored_watermark_ns, lateness_ns=LATENESS_NS)
        self.cursor.remember(
            [entry for _, entry in self.delivered], [time_ns for time_ns, _ in self.delivered]
        )
        self.dialect = ServiceDialect()
        self.reader: RangeReader | None = None

    @rule(
        message=st.sampled_from("ab"),
        late_ms=st.integers(0, LATENESS_NS // NS_PER_MS - 1),
        ns=st.integers(0, 2),
        twins=st.sampled_from([1, 1, 1, 2, 3]),
    )
    def line_arrives(self, message: str, late_ms: int, ns: int, twins: int) -> None:
        time_ns = max(START_NS, self.now_ns - late_ms * NS_PER_MS) + ns
        arrived = [self.service.add(time_ns, message) for _ in range(twins)]
        # A twin cannot be distinguished from the hidden line that it equals: show both.
        for line in self.service.lines:
            line.is_hidden = line.is_hidden and line.entry not in arrived

    @rule(ms=st.integers(1, 30))
    def time_passes(self, ms: int) -> None:
        self.now_ns += ms * NS_PER_MS

    @precondition(lambda self: self.reader is None)
    @rule()
    def edge_read_begins(self) -> None:
        start_ns = max(self.cursor.watermark_ns, self.now_ns - EDGE_NS)
        self.reader = RangeReader(Window(start_ns, self.now_ns + MARGIN_NS), self.dialect)

    @precondition(lambda self: self.reader is None)
    @rule()
    def sweep_begins(self) -> None:
        window = Window(self.cursor.watermark_ns, self.now_ns + MARGIN_NS)
        self.reader = RangeReader(window, self.dialect)

    @precondition(lambda self: self.reader is not None)
    @rule()
    def page_is_read(self) -> None:
        assert self.reader is not None
        if self.reader.query is None:
            self.reader = None
            return
        window = self.reader.query.window
        page = self.service.get(
            window.start_ns,
            window.end_ns,
            top=TOP,
            order=self.reader.query.order,
            now_ns=self.now_ns,
        )
        shown = self.reader.feed(page)
        if shown is None:
            return
        step = self.cursor.observe(shown)
        self.delivered += zip(step.times_ns, step.fresh, strict=True)
        self.stored_watermark_ns = step.watermark_ns
        if shown.hole is not None:
            self.gaps.append(shown.hole)
        self.cursor.commit(step)

    @rule()
    def read_ends(self) -> None:
        for _ in range(MAX_READS):
            if self.reader is None:
                return
            self.page_is_read()
        raise AssertionError("the read makes no progress")

    @precondition(lambda self: self.delivered)
    @rule(index=st.integers(0, 1000))
    def replica_forgets(self, index: int) -> None:
        shown = self._delivered_lines()
        shown[index % len(shown)].is_hidden = True

    @rule()
    def replica_remembers(self) -> None:
        for line in self.service.lines:
            line.is_hidden = False

    @rule()
    def crash_and_restart(self) -> None:
        self._restart()

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        surplus = self._delivered() - self._written()
        assert not self._outside_gaps(surplus), f"invented {surplus}"

    @invariant()
    def what_is_remembered_is_bounded(self) -> None:
        assert len(self.cursor) <= len(self.service.lines)

    def teardown(self) -> None:
        self.replica_remembers()
        self.read_ends()
        self.sweep_begins()
        self.read_ends()
        lost = self._written() - self._delivered()

        assert not self._outside_gaps(lost), f"lost {lost}"

    def _written(self) -> Counter[Entry]:
        return Counter(line.entry for line in self.service.lines)

    def _delivered(self) -> Counter[Entry]:
        return Counter(entry for _, entry in self.delivered)

    def _delivered_lines(self) -> list[StoredLine]:
        """The stored lines that are all delivered, twins included: those may vanish harmlessly."""
        delivered, written = self._delivered(), self._written()
        return [
            line for line in self.service.lines if delivered[line.entry] == written[line.entry]
        ] or [StoredLine(0, Entry(), 0)]

    def _outside_gaps(self, entries: Counter[Entry]) -> list[Entry]:
        times = {line.entry: line.time_ns for line in self.service.lines}
        return [
            entry
            for entry in entries
            if not any(gap.start_ns <= times[entry] < gap.end_ns for gap in self.gaps)
        ]


TestTailingWithCrashes = TailingWithCrashes.TestCase
TestTailingWithCrashes.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
