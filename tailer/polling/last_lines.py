"""Read the last N lines of a range backwards, without reading the whole range. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tailer.model import MAX_TOP, Entry, Order, Page, Window
from tailer.polling.pages import Query, in_order
from tailer.timestamp import NS_PER_MS


class LastLinesReader:
    """Send `query` with `top`, `feed` the page, until `query` is None; `lines` is the result.

    A full page may lack lines of its oldest timestamp, so the next page ends just after
    that timestamp and repeats its lines. `hole` is an instant that has more lines than a
    page. `is_readable` is False if the service does not return the requested order: then
    the range cannot be read backwards.
    """

    def __init__(self, count: int, window: Window) -> None:
        self._count = count
        self._window = window
        self._entries: list[Entry] = []
        self._times_ns: list[int] = []
        self.is_readable = True
        self.hole: Window | None = None
        self.query: Query | None = None
        if count and window.start_ns < window.end_ns:
            self._request_upto(window.end_ns)

    @property
    def top(self) -> int:
        return min(MAX_TOP, self._count)

    @property
    def lines(self) -> tuple[Sequence[Entry], Sequence[int]]:
        """At most `count` entries and their times, oldest first."""
        return self._entries[-self._count :], self._times_ns[-self._count :]

    def feed(self, received: Page) -> None:
        assert self.query is not None, "the read is over"
        requested = self.query.window
        self.query = None
        page = in_order(received, Order.DESC, undated_ns=self._window.start_ns)
        if page.is_full and not page.was_sorted:
            self.is_readable = False
            return
        self._take(page.times_ns, page.entries)
        if not page.is_full or len(self._entries) >= self._count:
            return
        oldest_ns = page.times_ns[0]
        next_ends_ns = (oldest_ns + NS_PER_MS - oldest_ns % NS_PER_MS, oldest_ns + 1)
        if (
            page.times_ns[-1] == oldest_ns
        ):  # one instant fills the page; its other lines cannot be read
            self.hole = Window(oldest_ns, oldest_ns + 1)
            next_ends_ns = (oldest_ns, oldest_ns - 1)
        self._request_upto(next(end_ns for end_ns in next_ends_ns if end_ns < requested.end_ns))

    def _request_upto(self, end_ns: int) -> None:
        if end_ns > self._window.start_ns:
            self.query = Query(Window(self._window.start_ns - NS_PER_MS, end_ns), Order.DESC)

    def _take(self, times_ns: Sequence[int], entries: Sequence[Entry]) -> None:
        """Prepend a page, replacing the lines that it repeats."""
        first = bisect_left(times_ns, self._window.start_ns)
        end = bisect_left(times_ns, self._window.end_ns)
        if first == end:
            return
        repeated = bisect_right(self._times_ns, times_ns[end - 1])
        self._times_ns[:repeated] = times_ns[first:end]
        self._entries[:repeated] = entries[first:end]
