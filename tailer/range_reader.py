"""Reading a range of time through pages, as a conversation without I/O.

Laws of this file:
1. A slice is complete: it holds every line that the service had in its window, or it
   says that it does not (`is_whole`).
2. Slices of one read are disjoint and in order of time.
3. Every answer makes progress: an instant with more lines than a page holds is left
   behind, with a gap, never asked for again in the same read.

A full page may have cut the lines of its last timestamp in two, so it is complete only
below that timestamp, and the next page starts *at* it. Whether the service's `start` is
inclusive is documented nowhere; the restarted page must show again what was seen there,
and when it does not, the reader steps back and remembers (`Dialect`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailer.dating import in_order, step_ns_of
from tailer.instant import join_ends
from tailer.model import Entry, Order, Page
from tailer.timestamp import NS_PER_MS, NS_PER_S
from tailer.window import Dialect, Query, Slice, Window

# Every read starts this much early, so that an exclusive `start` loses nothing before
# the dialect is known. One step of the coarsest store seen (milliseconds).
LEAD_NS = NS_PER_MS
_STORE_STEPS_NS = (1, 1_000, NS_PER_MS, NS_PER_S)


class RangeReader:
    """One pass over `window`: send `query`, `feed` the answer, until `query` is None.

    An answer that was damaged is not fed; the same query is sent again.
    """

    def __init__(self, window: Window, dialect: Dialect) -> None:
        self._dialect = dialect
        self._end_ns = window.end_ns
        self._stop_ns = window.end_ns  # of the part being read: nearer when a page is unsorted
        self._complete_upto_ns = window.start_ns
        self._must_show_ns: int | None = None  # a restarted page must show a line of this time
        self._crowd: _Crowd | None = None
        self.query: Query | None = None
        if window.start_ns < window.end_ns:
            self._ask_from(window.start_ns - LEAD_NS)

    def feed(self, page: Page) -> Slice | None:
        """Take the answer to `query`; None when it settled nothing by itself."""
        assert self.query is not None, "the read is over"
        asked = self.query.window
        times_ns, entries, was_sorted = in_order(
            page, self.query.order, undated_ns=self._complete_upto_ns
        )
        if self._crowd is not None:
            return self._feed_other_end(self._crowd, times_ns, entries, page)
        if self._only_taught(asked.start_ns, times_ns):
            return None
        if not _is_full(page):
            return self._finish_part(times_ns, entries, page.server_now_ns)
        step_ns = step_ns_of(entries[-1])
        if not was_sorted and self._halve(step_ns):
            return None
        crowded = self._crowded(asked.start_ns, times_ns, step_ns, was_sorted=was_sorted)
        if crowded is not None:
            self._crowd = _Crowd(crowded, step_ns, times_ns, entries, page.server_now_ns)
            self._ask_other_end(self._crowd)
            return None
        slice_ = self._cut(times_ns, entries, times_ns[-1], page.server_now_ns)
        self._ask_from(times_ns[-1], step_ns=step_ns)
        if not self._dialect.start_is_exclusive:
            self._must_show_ns = times_ns[-1]
        return slice_

    def _only_taught(self, asked_ns: int, times_ns: Sequence[int]) -> bool:
        """Learn whether `start` is inclusive; True when the page must be asked for again."""
        must_show_ns, complete_upto_ns = self._must_show_ns, self._complete_upto_ns
        if _contains(times_ns, asked_ns):
            self._dialect.start_is_exclusive = False
            if must_show_ns is None or must_show_ns >= complete_upto_ns:
                return False
            self._ask_from(complete_upto_ns)  # it was asked for nothing but this
            return True
        if must_show_ns is None:
            return False
        self._dialect.start_is_exclusive = True
        if must_show_ns < complete_upto_ns:
            return False
        self._ask_from(must_show_ns)
        return True

    def _crowded(
        self, asked_ns: int, times_ns: Sequence[int], step_ns: int, *, was_sorted: bool
    ) -> Window | None:
        """The instant that a full page cannot get past, if that is what it shows."""
        if not was_sorted:
            return Window(self._complete_upto_ns, self._stop_ns)
        last_ns = times_ns[-1]
        next_ns = last_ns - step_ns if self._dialect.start_is_exclusive else last_ns
        if times_ns[0] == last_ns or next_ns <= asked_ns:
            return _bucket(times_ns[0], last_ns, step_ns)
        return None

    def _ask_from(self, start_ns: int, *, step_ns: int = NS_PER_MS) -> None:
        if self._dialect.start_is_exclusive:
            start_ns -= step_ns
        self.query = Query(Window(start_ns, self._stop_ns))
        self._must_show_ns = None

    def _cut(
        self, times_ns: Sequence[int], entries: Sequence[Entry], upto_ns: int, server_now_ns: int
    ) -> Slice:
        """The part of an answer from where the read stands up to `upto_ns`."""
        window = Window(self._complete_upto_ns, max(self._complete_upto_ns, upto_ns))
        first = bisect_left(times_ns, window.start_ns)
        behind = bisect_left(times_ns, window.end_ns)
        self._complete_upto_ns = window.end_ns
        return Slice(
            window, tuple(entries[first:behind]), tuple(times_ns[first:behind]), server_now_ns
        )

    def _finish_part(
        self, times_ns: Sequence[int], entries: Sequence[Entry], server_now_ns: int
    ) -> Slice:
        began_ns = self._complete_upto_ns
        slice_ = self._cut(times_ns, entries, self._stop_ns, server_now_ns)
        if self._stop_ns >= self._end_ns:
            self.query = None
        else:
            self._stop_ns = min(self._end_ns, self._stop_ns + 2 * (self._stop_ns - began_ns))
            self._ask_from(self._complete_upto_ns - LEAD_NS)
        return slice_

    def _halve(self, step_ns: int) -> bool:
        """Read a shorter part: which lines an unsorted full page left out is unknowable."""
        start_ns = self._complete_upto_ns
        middle_ns = start_ns + (self._stop_ns - start_ns) // 2
        if middle_ns - start_ns < step_ns:
            return False
        self._stop_ns = middle_ns
        self._ask_from(start_ns - LEAD_NS)
        return True

    def _ask_other_end(self, crowd: "_Crowd") -> None:
        start_ns, end_ns = crowd.window.start_ns - LEAD_NS, crowd.window.end_ns
        if self._dialect.end_is_inclusive:
            end_ns -= 1
        self.query = Query(Window(start_ns, end_ns), Order.DESC)

    def _feed_other_end(
        self, crowd: "_Crowd", times_ns: Sequence[int], entries: Sequence[Entry], page: Page
    ) -> Slice | None:
        first = bisect_left(times_ns, crowd.window.start_ns)
        behind = bisect_left(times_ns, crowd.window.end_ns)
        if behind < len(times_ns) and not self._dialect.end_is_inclusive:
            self._dialect.end_is_inclusive = True  # lines of the next instant took up room
            self._ask_other_end(crowd)
            return None
        tail_is_all = not _is_full(page) or first > 0
        times, lines, is_whole = crowd.joined(times_ns[first:behind], entries[first:behind])
        server_now_ns = min(crowd.server_now_ns, page.server_now_ns)
        slice_ = self._cut(times, lines, min(crowd.window.end_ns, self._end_ns), server_now_ns)
        self._crowd = None
        self._stop_ns = self._end_ns
        self.query = None
        if crowd.window.end_ns < self._end_ns:
            self._ask_from(crowd.window.end_ns, step_ns=crowd.step_ns)
            if self._dialect.start_is_exclusive is None:
                self._ask_from(crowd.head_times_ns[-1])
                self._must_show_ns = crowd.head_times_ns[-1]
        if is_whole or tail_is_all or slice_.window.start_ns == slice_.window.end_ns:
            return slice_
        return replace(slice_, is_whole=False)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """An instant that filled a page, read from its beginning; its end is still to be read."""

    window: Window
    step_ns: int
    head_times_ns: Sequence[int]
    head: Sequence[Entry]
    server_now_ns: int

    def joined(
        self, tail_times_ns: Sequence[int], tail: Sequence[Entry]
    ) -> tuple[list[int], list[Entry], bool]:
        first = bisect_left(self.head_times_ns, self.window.start_ns)
        tail_pairs = list(zip(tail_times_ns, tail, strict=True))
        head = list(zip(self.head_times_ns[first:], self.head[first:], strict=True))
        pairs, is_whole = join_ends(
            head,
            tail_pairs,
            head_keys=[(time_ns, line.key) for time_ns, line in head],
            tail_keys=[
                (time_ns, line.key) for time_ns, line in zip(tail_times_ns, tail, strict=True)
            ],
        )
        pairs.sort(key=lambda pair: pair[0])
        return [time_ns for time_ns, _ in pairs], [entry for _, entry in pairs], is_whole


def _is_full(page: Page) -> bool:
    """Whether the service may have more."""
    return len(page.entries) >= page.top


def _contains(times_ns: Sequence[int], wanted_ns: int) -> bool:
    index = bisect_left(times_ns, wanted_ns)
    return index < len(times_ns) and times_ns[index] == wanted_ns


def _bucket(first_ns: int, last_ns: int, step_ns: int) -> Window:
    """The instant that [first_ns, last_ns] is for the service: it may be coarser than it shows."""
    for store_step_ns in _STORE_STEPS_NS:
        start_ns = first_ns - first_ns % store_step_ns
        if store_step_ns >= step_ns and last_ns < start_ns + store_step_ns:
            return Window(start_ns, start_ns + store_step_ns)
    return Window(first_ns, last_ns + step_ns)
