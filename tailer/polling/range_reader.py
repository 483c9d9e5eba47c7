"""Reading a range of time through pages, as a conversation without I/O.

Laws of this file:
1. A slice is complete: it holds every line that the service had in its window, or it
   names the hole.
2. Slices of one read are disjoint, in order of time, and fill the range.
3. Every answer makes progress: what cannot be got past is left behind, with a hole,
   and is not asked for again in the same read.

A full page may have cut the lines of its last timestamp in two, and a store that reads
bounds in milliseconds sorts no finer. So a full page is complete only below the
millisecond of its last line (or below that line, if that is all the progress there is),
and the next one starts *at* that point. Whether `start` is inclusive is documented
nowhere: the restarted page must show again what was seen there, and when it does not,
the reader steps back and remembers (`Dialect`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from tailer.model import Entry, Order, Page, Window
from tailer.polling.pages import Query, ServiceDialect, Slice, in_order
from tailer.polling.saturation import SaturatedInstant, around, wider
from tailer.timestamp import NS_PER_MS

# Asked for on both sides of what is wanted, so that bounds which are exclusive, or are cut
# to milliseconds, lose nothing. What is shown there is left out again.
LEAD_NS = NS_PER_MS


class RangeReader:
    """One pass over `window`: send `query`, `feed` the answer, until `query` is None.

    An answer that was damaged is not fed; the same query is sent again.
    """

    def __init__(self, window: Window, dialect: ServiceDialect) -> None:
        self._dialect = dialect
        self._end_ns = window.end_ns
        self._stop_ns = window.end_ns  # of the part being read: nearer when a page is unsorted
        self._complete_upto_ns = window.start_ns
        self._must_show_ns: int | None = None  # a restarted page must show a line of this time
        self._saturated: SaturatedInstant | None = None
        self._leap_ns = LEAD_NS
        self.query: Query | None = None
        if window.start_ns < window.end_ns:
            self._ask_from(window.start_ns - LEAD_NS)

    def feed(self, page: Page) -> Slice | None:
        """Take the answer to `query`; None when it settled nothing by itself."""
        assert self.query is not None, "the read is over"
        asked_ns = self.query.window.start_ns
        times_ns, entries, was_sorted = in_order(
            page, self.query.order, undated_ns=self._complete_upto_ns
        )
        self._dialect.learn_step(entries)
        if self._saturated is not None:
            return self._feed_other_end(
                self._saturated, times_ns, entries, page, was_sorted=was_sorted
            )
        is_full = _is_full(page)
        if self._only_taught(asked_ns, times_ns) or (is_full and not was_sorted and self._halve()):
            return None
        if not is_full:
            return self._finish_part(times_ns, entries, page.server_now_ns)
        restart = self._restart(asked_ns, times_ns) if was_sorted else None
        if restart is None:
            return self._meet_crowd(times_ns, entries, page.server_now_ns, was_sorted=was_sorted)
        settled_ns, start_ns = restart
        if settled_ns >= self._stop_ns:
            return self._finish_part(times_ns, entries, page.server_now_ns)
        slice_ = self._cut(times_ns, entries, settled_ns, page.server_now_ns)
        self._ask_from(start_ns)
        if _contains(times_ns, settled_ns):
            self._must_show_ns = settled_ns
        return slice_

    def _ask_from(self, start_ns: int) -> None:
        self.query = Query(Window(start_ns, self._stop_ns + LEAD_NS))
        self._must_show_ns = None

    def _restart(self, asked_ns: int, times_ns: Sequence[int]) -> tuple[int, int] | None:
        """Up to where a full page is complete, and where to go on; None when it is a crowd."""
        last_ns = times_ns[-1]
        if times_ns[0] == last_ns:
            return None
        for settled_ns in (last_ns - last_ns % NS_PER_MS, last_ns):
            for step_back_ns in self._steps_back():
                if settled_ns - step_back_ns > asked_ns:
                    return settled_ns, settled_ns - step_back_ns
        return None

    def _steps_back(self) -> tuple[int, ...]:
        """How far before a time to start, so that its lines are shown; the best first."""
        if not self._dialect.start_is_exclusive:
            return (0,)
        if self._dialect.bounds_are_coarse:
            return (LEAD_NS,)
        return (LEAD_NS, self._dialect.step_ns)

    def _only_taught(self, asked_ns: int, times_ns: Sequence[int]) -> bool:
        """Learn how `start` is read; True when something else has been asked for now."""
        must_show_ns, complete_upto_ns = self._must_show_ns, self._complete_upto_ns
        if _contains(times_ns, asked_ns):
            if asked_ns % NS_PER_MS == 0 or self._dialect.start_is_exclusive is None:
                self._dialect.start_is_exclusive = False  # a finer time may have been cut
            if must_show_ns is None or must_show_ns >= complete_upto_ns:
                return False
            self._ask_from(complete_upto_ns)  # it was asked for nothing but this
            return True
        if must_show_ns is None or _contains(times_ns, must_show_ns):
            return False
        if self._dialect.start_is_exclusive:
            self._dialect.bounds_are_coarse = True
        self._dialect.start_is_exclusive = True
        if must_show_ns < complete_upto_ns:
            return False
        self._ask_from(must_show_ns - LEAD_NS)
        return True

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

    def _halve(self) -> bool:
        """Read a shorter part: which lines an unsorted full page left out is unknowable."""
        start_ns = self._complete_upto_ns
        middle_ns = start_ns + (self._stop_ns - start_ns) // 2
        middle_ns -= middle_ns % NS_PER_MS
        if middle_ns <= start_ns:
            return False
        self._stop_ns = middle_ns
        self._ask_from(start_ns - LEAD_NS)
        return True

    def _meet_crowd(
        self,
        times_ns: Sequence[int],
        entries: Sequence[Entry],
        server_now_ns: int,
        *,
        was_sorted: bool,
    ) -> Slice | None:
        """A full page that cannot be got past: read the same instant from its other end."""
        window = Window(self._complete_upto_ns, self._stop_ns)
        if was_sorted:
            window = around(times_ns[0], times_ns[-1])
        if window.end_ns <= self._complete_upto_ns:
            return self._leap(server_now_ns)
        self._saturated = SaturatedInstant(window, times_ns, entries, server_now_ns)
        self._ask_other_end(self._saturated)
        return None

    def _leap(self, server_now_ns: int) -> Slice:
        """Leave behind what the service shows again and again, ever further, with a hole."""
        upto_ns = min(self._end_ns, self._complete_upto_ns + self._leap_ns)
        self._leap_ns *= 2
        slice_ = self._cut((), (), upto_ns, server_now_ns)
        self._go_on(upto_ns)
        return replace(slice_, hole=slice_.window)

    def _ask_other_end(self, saturated: SaturatedInstant) -> None:
        start_ns, end_ns = saturated.window.start_ns - LEAD_NS, saturated.window.end_ns
        if self._dialect.end_is_inclusive:
            end_ns -= 1
        self.query = Query(Window(start_ns, end_ns), Order.DESC)

    def _feed_other_end(
        self,
        saturated: SaturatedInstant,
        times_ns: Sequence[int],
        entries: Sequence[Entry],
        page: Page,
        *,
        was_sorted: bool,
    ) -> Slice | None:
        first = bisect_left(times_ns, saturated.window.start_ns)
        behind = bisect_left(times_ns, saturated.window.end_ns)
        is_full = _is_full(page)
        if is_full and behind < len(times_ns) and not self._dialect.end_is_inclusive:
            self._dialect.end_is_inclusive = True  # lines of the next instant took up room
            self._ask_other_end(saturated)
            return None
        is_all = not is_full or (was_sorted and first > 0)
        if is_all and behind - first < saturated.count:
            larger = wider(
                saturated.window
            )  # the service reads `end` less finely than it shows times
            if larger is not None:
                self._saturated = replace(saturated, window=larger)
                self._ask_other_end(self._saturated)
                return None
        times, lines, is_whole = saturated.joined(
            times_ns[first:behind],
            entries[first:behind],
            is_all=is_all,
        )
        server_now_ns = min(saturated.server_now_ns, page.server_now_ns)
        slice_ = self._cut(times, lines, min(saturated.window.end_ns, self._end_ns), server_now_ns)
        self._saturated = None
        self._go_on(saturated.window.end_ns, step_back_ns=saturated.step_ns)
        if self.query is not None and self._dialect.start_is_exclusive is None:
            self._ask_from(saturated.head_times_ns[-1])
            self._must_show_ns = saturated.head_times_ns[-1]
        if is_whole or slice_.window.start_ns == slice_.window.end_ns:
            return slice_
        hole = Window(max(slice_.window.start_ns, saturated.window.start_ns), slice_.window.end_ns)
        return replace(slice_, hole=hole)

    def _go_on(self, start_ns: int, *, step_back_ns: int = 1) -> None:
        """Ask for what lies at and behind `start_ns`, and for nothing before it again."""
        self._stop_ns = self._end_ns
        self.query = None
        if start_ns < self._end_ns:
            is_exclusive = self._dialect.start_is_exclusive
            self._ask_from(start_ns - (step_back_ns if is_exclusive else 0))


def _is_full(page: Page) -> bool:
    """Whether the service may have more."""
    return len(page.entries) >= page.top


def _contains(times_ns: Sequence[int], wanted_ns: int) -> bool:
    index = bisect_left(times_ns, wanted_ns)
    return index < len(times_ns) and times_ns[index] == wanted_ns
