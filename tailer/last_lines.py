"""The last lines of a range, read backwards instead of reading everything. Pure."""

from bisect import bisect_right
from collections.abc import Sequence

from tailer.dating import in_order, step_ns_of
from tailer.model import MAX_TOP, Entry, Order, Page
from tailer.window import Query, Window


class LastLinesReader:
    """Send `query` with `top`, `feed` the answer, until `query` is None; then see `lines`.

    A full page may have cut the lines of its oldest timestamp in two, so the next one
    ends just behind that timestamp, and shows those lines again.
    """

    def __init__(self, count: int, window: Window) -> None:
        self._count = count
        self._start_ns = window.start_ns
        self._entries: list[Entry] = []
        self._times_ns: list[int] = []
        self.query: Query | None = Query(window, Order.DESC) if count else None

    @property
    def top(self) -> int:
        return min(MAX_TOP, self._count)

    @property
    def lines(self) -> tuple[Sequence[Entry], Sequence[int]]:
        """At most `count` entries and their times, oldest first."""
        return self._entries[-self._count :], self._times_ns[-self._count :]

    def feed(self, page: Page) -> None:
        assert self.query is not None, "the read is over"
        asked = self.query.window
        times_ns, entries, _ = in_order(page, Order.DESC, undated_ns=asked.start_ns)
        if times_ns:
            known = bisect_right(self._times_ns, times_ns[-1])
            self._times_ns[:known] = times_ns
            self._entries[:known] = entries
        self.query = None
        if len(page.entries) >= page.top and len(self._entries) < self._count:
            end_ns = times_ns[0] + step_ns_of(entries[0])
            if end_ns >= asked.end_ns:  # one instant fills the page: its rest is out of reach
                end_ns = times_ns[0]
            self.query = Query(Window(asked.start_ns, end_ns), Order.DESC)
