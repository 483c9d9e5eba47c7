"""Read a time range through pages, as a conversation without I/O. Pure.

Laws of this file:
1. A slice is complete: it has every line that the service had in its window, or it names
   the hole.
2. Slices of one read are disjoint, in order of time, and fill the range.
3. Every page makes progress: a part that cannot be read is left behind with a hole, and is
   not requested again in the same read.

A full page may lack lines of its last timestamp, and a store that reads bounds in
milliseconds sorts no finer. So a full page is complete only below the millisecond of its
last line (or below that line, if there is no other progress), and the next page starts *at*
that point. Whether `start` is inclusive is not documented: the next page must repeat the
lines of its start. If it does not, the reader steps back and remembers (`ServiceDialect`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from tailer.model import Entry, Order, Page, Window
from tailer.polling.pages import OrderedPage, Query, ServiceDialect, Slice, in_order
from tailer.polling.saturation import SaturatedInstant, around, wider
from tailer.timestamp import NS_PER_MS

# Added to both ends of a query, so that exclusive bounds, and bounds cut to milliseconds,
# lose no line. Lines outside the range are dropped again.
LEAD_NS = NS_PER_MS


class RangeReader:
    """One pass over `window`: send `query`, `feed` the page, until `query` is None.

    A damaged response is not fed; the same query is sent again.
    """

    def __init__(self, window: Window, dialect: ServiceDialect) -> None:
        self._dialect = dialect
        self._end_ns = window.end_ns
        self._stop_ns = window.end_ns  # of the current part: nearer if a page is unsorted
        self._complete_upto_ns = window.start_ns
        self._must_show_ns: int | None = None  # the next page must have a line of this time
        self._saturated: SaturatedInstant | None = None
        self._leap_ns = LEAD_NS
        self.query: Query | None = None
        if window.start_ns < window.end_ns:
            self._request_from(window.start_ns - LEAD_NS)

    def feed(self, received: Page) -> Slice | None:
        """Take the response to `query`; None if it completes no part of the range."""
        assert self.query is not None, "the read is over"
        requested_ns = self.query.window.start_ns
        page = in_order(received, self.query.order, undated_ns=self._complete_upto_ns)
        self._dialect.learn_step(page.entries)
        if self._saturated is not None:
            return self._feed_other_end(self._saturated, page)
        if self._only_learned(requested_ns, page.times_ns) or (
            page.is_full and not page.was_sorted and self._halve()
        ):
            return None
        if not page.is_full:
            return self._finish_part(page)
        restart = self._restart(requested_ns, page.times_ns) if page.was_sorted else None
        if restart is None:
            return self._start_saturated(page)
        settled_ns, start_ns = restart
        if settled_ns >= self._stop_ns:
            return self._finish_part(page)
        slice_ = self._cut(page.times_ns, page.entries, settled_ns, page.server_now_ns)
        self._request_from(start_ns)
        if _contains(page.times_ns, settled_ns):
            self._must_show_ns = settled_ns
        return slice_

    def _request_from(self, start_ns: int) -> None:
        self.query = Query(Window(start_ns, self._stop_ns + LEAD_NS))
        self._must_show_ns = None

    def _restart(self, requested_ns: int, times_ns: Sequence[int]) -> tuple[int, int] | None:
        """Where a full page is complete, and where to continue; None if it is saturated."""
        last_ns = times_ns[-1]
        if times_ns[0] == last_ns:
            return None
        for settled_ns in (last_ns - last_ns % NS_PER_MS, last_ns):
            for step_back_ns in self._steps_back():
                if settled_ns - step_back_ns > requested_ns:
                    return settled_ns, settled_ns - step_back_ns
        return None

    def _steps_back(self) -> tuple[int, ...]:
        """How far before a time to start, so that its lines are returned; the best first."""
        if not self._dialect.start_is_exclusive:
            return (0,)
        if self._dialect.bounds_are_coarse:
            return (LEAD_NS,)
        return (LEAD_NS, self._dialect.step_ns)

    def _only_learned(self, requested_ns: int, times_ns: Sequence[int]) -> bool:
        """Learn whether `start` is inclusive; True if another query has replaced this one."""
        must_show_ns, complete_upto_ns = self._must_show_ns, self._complete_upto_ns
        if _contains(times_ns, requested_ns):
            if requested_ns % NS_PER_MS == 0 or self._dialect.start_is_exclusive is None:
                self._dialect.start_is_exclusive = False  # a finer time may have been cut
            if must_show_ns is None or must_show_ns >= complete_upto_ns:
                return False
            self._request_from(complete_upto_ns)  # the query served only to learn this
            return True
        if must_show_ns is None or _contains(times_ns, must_show_ns):
            return False
        if self._dialect.start_is_exclusive:
            self._dialect.bounds_are_coarse = True
        self._dialect.start_is_exclusive = True
        if must_show_ns < complete_upto_ns:
            return False
        self._request_from(must_show_ns - LEAD_NS)
        return True

    def _cut(
        self, times_ns: Sequence[int], entries: Sequence[Entry], upto_ns: int, server_now_ns: int
    ) -> Slice:
        """The part of a page from the completed range up to `upto_ns`."""
        window = Window(self._complete_upto_ns, max(self._complete_upto_ns, upto_ns))
        first = bisect_left(times_ns, window.start_ns)
        end = bisect_left(times_ns, window.end_ns)
        self._complete_upto_ns = window.end_ns
        return Slice(window, tuple(entries[first:end]), tuple(times_ns[first:end]), server_now_ns)

    def _finish_part(self, page: OrderedPage) -> Slice:
        start_ns = self._complete_upto_ns
        slice_ = self._cut(page.times_ns, page.entries, self._stop_ns, page.server_now_ns)
        if self._stop_ns >= self._end_ns:
            self.query = None
        else:
            self._stop_ns = min(self._end_ns, self._stop_ns + 2 * (self._stop_ns - start_ns))
            self._request_from(self._complete_upto_ns - LEAD_NS)
        return slice_

    def _halve(self) -> bool:
        """Read a shorter part: an unsorted full page does not show which lines it lacks."""
        start_ns = self._complete_upto_ns
        middle_ns = start_ns + (self._stop_ns - start_ns) // 2
        middle_ns -= middle_ns % NS_PER_MS
        if middle_ns <= start_ns:
            return False
        self._stop_ns = middle_ns
        self._request_from(start_ns - LEAD_NS)
        return True

    def _start_saturated(self, page: OrderedPage) -> Slice | None:
        """Read the instant of a full page that makes no progress from its other end."""
        window = Window(self._complete_upto_ns, self._stop_ns)
        if page.was_sorted:
            window = around(page.times_ns[0], page.times_ns[-1])
        if window.end_ns <= self._complete_upto_ns:
            return self._leap(page.server_now_ns)
        self._saturated = SaturatedInstant(window, page.times_ns, page.entries, page.server_now_ns)
        self._request_other_end(self._saturated)
        return None

    def _leap(self, server_now_ns: int) -> Slice:
        """Skip lines that the service returns repeatedly, in doubling steps, with a hole."""
        upto_ns = min(self._end_ns, self._complete_upto_ns + self._leap_ns)
        self._leap_ns *= 2
        slice_ = self._cut((), (), upto_ns, server_now_ns)
        self._continue_at(upto_ns)
        return replace(slice_, hole=slice_.window)

    def _request_other_end(self, saturated: SaturatedInstant) -> None:
        start_ns, end_ns = saturated.window.start_ns - LEAD_NS, saturated.window.end_ns
        if self._dialect.end_is_inclusive:
            end_ns -= 1
        self.query = Query(Window(start_ns, end_ns), Order.DESC)

    def _feed_other_end(self, saturated: SaturatedInstant, page: OrderedPage) -> Slice | None:
        first = bisect_left(page.times_ns, saturated.window.start_ns)
        end = bisect_left(page.times_ns, saturated.window.end_ns)
        is_beyond = end < len(page.times_ns)
        if page.is_full and is_beyond and not self._dialect.end_is_inclusive:
            self._dialect.end_is_inclusive = True  # lines of the next instant filled the page
            self._request_other_end(saturated)
            return None
        is_all = not page.is_full or (page.was_sorted and first > 0)
        if is_all and end - first < saturated.count:
            larger = wider(saturated.window)  # `end` is read with fewer digits than timestamps
            if larger is not None:
                self._saturated = replace(saturated, window=larger)
                self._request_other_end(self._saturated)
                return None
        times, lines, is_whole = saturated.joined(
            page.times_ns[first:end], page.entries[first:end], is_all=is_all
        )
        server_now_ns = min(saturated.server_now_ns, page.server_now_ns)
        slice_ = self._cut(times, lines, min(saturated.window.end_ns, self._end_ns), server_now_ns)
        self._saturated = None
        self._continue_at(saturated.window.end_ns, step_back_ns=saturated.step_ns)
        if self.query is not None and self._dialect.start_is_exclusive is None:
            self._request_from(saturated.head_times_ns[-1])
            self._must_show_ns = saturated.head_times_ns[-1]
        if is_whole or slice_.window.start_ns == slice_.window.end_ns:
            return slice_
        hole = Window(max(slice_.window.start_ns, saturated.window.start_ns), slice_.window.end_ns)
        return replace(slice_, hole=hole)

    def _continue_at(self, start_ns: int, *, step_back_ns: int = 1) -> None:
        """Continue at `start_ns`; no line before it is requested again."""
        self._stop_ns = self._end_ns
        self.query = None
        if start_ns < self._end_ns:
            is_exclusive = self._dialect.start_is_exclusive
            self._request_from(start_ns - (step_back_ns if is_exclusive else 0))


def _contains(times_ns: Sequence[int], wanted_ns: int) -> bool:
    index = bisect_left(times_ns, wanted_ns)
    return index < len(times_ns) and times_ns[index] == wanted_ns
