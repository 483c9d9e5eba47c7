"""The last lines of a range, read backwards instead of reading everything. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tailer.model import MAX_TOP, Entry, Order, Page, Window
from tailer.polling.pages import Query, in_order
from tailer.timestamp import NS_PER_MS


class LastLinesReader:
    """Send `query` with `top`, `feed` the answer, until `query` is None; then see `lines`.

    A full page may have cut the lines of its oldest timestamp in two, so the next one ends
    just behind that timestamp, and shows those lines again. `hole` is an instant of which
    there was more than that. A service that answers in another order than it was asked for
    cannot be read backwards: then `is_readable` is False.
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
            self._ask_upto(window.end_ns)

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
        self.query = None
        times_ns, entries, was_sorted = in_order(page, Order.DESC, undated_ns=self._window.start_ns)
        is_full = len(entries) >= page.top
        if is_full and not was_sorted:
            self.is_readable = False
            return
        self._take(times_ns, entries)
        if not is_full or len(self._entries) >= self._count:
            return
        oldest_ns = times_ns[0]
        just_behind_it = (oldest_ns + NS_PER_MS - oldest_ns % NS_PER_MS, oldest_ns + 1)
        if times_ns[-1] == oldest_ns:  # one instant fills the page, and its rest is out of reach
            self.hole = Window(oldest_ns, oldest_ns + 1)
            just_behind_it = (oldest_ns, oldest_ns - 1)
        self._ask_upto(next(end_ns for end_ns in just_behind_it if end_ns < asked.end_ns))

    def _ask_upto(self, end_ns: int) -> None:
        if end_ns > self._window.start_ns:
            self.query = Query(Window(self._window.start_ns - NS_PER_MS, end_ns), Order.DESC)

    def _take(self, times_ns: Sequence[int], entries: Sequence[Entry]) -> None:
        """Put a page before what there is; it shows anew all that is not younger than itself."""
        first = bisect_left(times_ns, self._window.start_ns)
        behind = bisect_left(times_ns, self._window.end_ns)
        if first == behind:
            return
        known = bisect_right(self._times_ns, times_ns[behind - 1])
        self._times_ns[:known] = times_ns[first:behind]
        self._entries[:known] = entries[first:behind]
