"""Requests of one read, against unchanging stores of every dialect."""

from collections import Counter
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support.memory_service import DIALECTS, MemoryService

from tailer.model import Entry, Order, Page, Window
from tailer.polling.pages import ServiceDialect, Slice
from tailer.polling.range_reader import RangeReader
from tailer.timestamp import NS_PER_MS

START_NS = 1_700_000_000_000 * NS_PER_MS
END_NS = START_NS + 1000 * NS_PER_MS
MOMENTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=40)
MAX_REQUESTS = 1000


def read(
    service: MemoryService,
    window: Window,
    *,
    top: int,
    dialect: ServiceDialect | None = None,
) -> list[Slice]:
    reader = RangeReader(window, dialect or ServiceDialect())
    slices: list[Slice] = []
    for _ in range(MAX_REQUESTS):
        if reader.query is None:
            return slices
        asked = reader.query.window
        page = service.get(
            asked.start_ns, asked.end_ns, top=top, order=reader.query.order, now_ns=END_NS
        )
        shown = reader.feed(page)
        if shown is not None:
            slices.append(shown)
    raise AssertionError("no progress")


def entries(slices: list[Slice]) -> list[Entry]:
    return [entry for shown in slices for entry in shown.entries]


def copy_of(service: MemoryService) -> MemoryService:
    return MemoryService(
        start_is_exclusive=service.start_is_exclusive,
        end_is_inclusive=service.end_is_inclusive,
        store_step_ns=service.store_step_ns,
    )


@given(dialect=st.sampled_from(DIALECTS), moments=MOMENTS, top=st.integers(2, 6))
def test_a_read_returns_every_line_once_in_order_or_names_the_unread_part(
    dialect: MemoryService, moments: list[tuple[int, int]], top: int
) -> None:
    service = copy_of(dialect)
    for number, (ms, ns) in enumerate(moments):
        service.add(START_NS + ms * NS_PER_MS + ns, f"{number}")

    slices = read(service, Window(START_NS, END_NS), top=top)

    shown, stored = Counter(entries(slices)), Counter(line.entry for line in service.lines)
    crowds = [one.hole for one in slices if one.hole is not None]
    excused = {
        line.entry
        for line in service.lines
        if any(saturated.start_ns <= line.time_ns < saturated.end_ns for saturated in crowds)
    }
    assert all(entry in excused for entry in (stored - shown) + (shown - stored))
    times = [time_ns for one in slices for time_ns in one.times_ns]
    assert times == sorted(times)


@given(dialect=st.sampled_from(DIALECTS), moments=MOMENTS, top=st.integers(2, 6))
def test_slices_fill_the_window_without_holes_or_overlaps(
    dialect: MemoryService, moments: list[tuple[int, int]], top: int
) -> None:
    service = copy_of(dialect)
    for number, (ms, ns) in enumerate(moments):
        service.add(START_NS + ms * NS_PER_MS + ns, f"{number}")

    windows = [one.window for one in read(service, Window(START_NS, END_NS), top=top)]

    assert windows[0].start_ns == START_NS
    assert windows[-1].end_ns == END_NS
    assert all(one.end_ns == other.start_ns for one, other in pairwise(windows))


def test_lines_outside_the_window_are_left_out_whatever_the_service_shows() -> None:
    service = MemoryService(end_is_inclusive=True)
    for ms in range(5):
        service.add(START_NS + ms * NS_PER_MS, f"{ms}")

    slices = read(service, Window(START_NS + NS_PER_MS, START_NS + 3 * NS_PER_MS), top=10)

    assert [entry.msg for entry in entries(slices)] == ["1", "2"]


@pytest.mark.parametrize("start_is_exclusive", [False, True])
def test_the_dialect_of_start_is_learned_from_a_restarted_page(start_is_exclusive: bool) -> None:
    service = MemoryService(start_is_exclusive=start_is_exclusive)
    for number in range(20):
        service.add(START_NS + number, f"{number}")
    dialect = ServiceDialect()

    read(service, Window(START_NS, END_NS), top=6, dialect=dialect)

    assert dialect.start_is_exclusive is start_is_exclusive


@pytest.mark.parametrize(("lines", "is_whole"), [(4, True), (7, False), (8, False), (13, False)])
def test_an_instant_with_more_lines_than_a_page_gives_both_ends_and_is_never_silent(
    lines: int, is_whole: bool
) -> None:
    service = MemoryService(store_step_ns=NS_PER_MS)
    for number in range(lines):
        service.add(START_NS + 5 * NS_PER_MS, f"{number}")
    service.add(START_NS + 6 * NS_PER_MS, "after")

    slices = read(service, Window(START_NS, END_NS), top=5)

    assert all(one.hole is None for one in slices) is is_whole
    messages = [entry.msg for entry in entries(slices)]
    assert messages[:4] == ["0", "1", "2", "3"]
    assert messages[-2:] == [f"{lines - 1}", "after"]


def test_overlapping_ends_prove_that_an_instant_is_complete() -> None:
    service = MemoryService(store_step_ns=NS_PER_MS)
    for number in range(170):
        service.add(START_NS, f"{number}")

    slices = read(service, Window(START_NS, END_NS), top=100)

    assert [entry.msg for entry in entries(slices)] == [f"{number}" for number in range(170)]
    assert all(one.hole is None for one in slices)


def test_an_instant_of_one_repeated_line_is_a_gap() -> None:
    service = MemoryService(store_step_ns=NS_PER_MS)
    for _ in range(170):
        service.add(START_NS, "again")

    slices = read(service, Window(START_NS, END_NS), top=100)

    assert not all(one.hole is None for one in slices)


class UnsortedService(MemoryService):
    """Answers with the newest lines first, whatever order it is asked for."""

    def get(self, start_ns: int, end_ns: int, *, top: int, order: Order, now_ns: int) -> Page:
        return MemoryService.get(self, start_ns, end_ns, top=top, order=Order.DESC, now_ns=now_ns)


def test_a_service_that_ignores_the_order_is_read_in_shorter_parts() -> None:
    service = UnsortedService()
    for number in range(100):
        service.add(START_NS + number * NS_PER_MS, f"{number}")

    slices = read(service, Window(START_NS, END_NS), top=7)

    assert [entry.msg for entry in entries(slices)] == [f"{number}" for number in range(100)]


def test_an_empty_window_sends_no_request() -> None:
    assert RangeReader(Window(5, 5), ServiceDialect()).query is None


@given(
    st.lists(
        st.sampled_from(
            ["2023-11-14T22:13:20.005Z", "2023-11-14T22:13:20.006Z", "not a time", None]
        ),
        max_size=12,
    )
)
def test_lines_without_a_readable_time_pass_through_whole(timestamps: list[str | None]) -> None:
    lines = [
        Entry(msg=f"{number}") if text is None else Entry(timestamp=text, msg=f"{number}")
        for number, text in enumerate(sorted(timestamps, key=lambda text: text or ""))
    ]
    reader = RangeReader(Window(START_NS, END_NS), ServiceDialect())

    shown = reader.feed(Page(lines, top=5000, server_now_ns=END_NS))

    assert shown is not None
    assert Counter(shown.entries) == Counter(lines)


def test_a_millisecond_store_that_shows_nine_digits_is_read_to_the_end() -> None:
    class PaddingService(MemoryService):
        def get(self, start_ns: int, end_ns: int, *, top: int, order: Order, now_ns: int) -> Page:
            start_ns -= start_ns % NS_PER_MS
            end_ns -= end_ns % NS_PER_MS
            return MemoryService.get(self, start_ns, end_ns, top=top, order=order, now_ns=now_ns)

    service = PaddingService()
    for number in range(40):
        service.add(START_NS, f"{number}")
    service.add(START_NS + 5 * NS_PER_MS, "after")

    slices = read(service, Window(START_NS, END_NS), top=30)

    assert [entry.msg for entry in entries(slices)] == [*map(str, range(40)), "after"]


def test_an_end_within_a_millisecond_is_not_cut_by_a_millisecond_store() -> None:
    service = MemoryService(store_step_ns=NS_PER_MS)
    service.add(START_NS + NS_PER_MS, "in")

    slices = read(service, Window(START_NS, START_NS + NS_PER_MS + 1), top=10)

    assert [entry.msg for entry in entries(slices)] == ["in"]


def test_a_store_that_sorts_by_milliseconds_but_shows_nanoseconds_is_complete() -> None:
    class CoarselySorted(MemoryService):
        def get(self, start_ns: int, end_ns: int, *, top: int, order: Order, now_ns: int) -> Page:
            start_ns -= start_ns % NS_PER_MS
            lines = [line for line in self.lines if start_ns <= line.time_ns < end_ns]
            lines.sort(key=lambda line: (line.time_ns // NS_PER_MS, line.entry.msg))
            if order is Order.DESC:
                lines.reverse()
            return Page([line.entry for line in lines[:top]], top=top, server_now_ns=now_ns)

    service = CoarselySorted()
    for number in range(100):
        service.add(START_NS + number * 300_000, f"{number * 7 % 100}")

    shown = entries(read(service, Window(START_NS, END_NS), top=12))

    assert Counter(shown) == Counter(line.entry for line in service.lines)


def test_the_gap_is_at_the_saturated_instant() -> None:
    service = MemoryService(store_step_ns=NS_PER_MS)
    for number in range(30):
        service.add(START_NS + 5 * NS_PER_MS, f"{number}")

    holes = [one.hole for one in read(service, Window(START_NS, END_NS), top=5) if one.hole]

    assert [(hole.start_ns, hole.end_ns > hole.start_ns) for hole in holes] == [
        (START_NS + 5 * NS_PER_MS, True)
    ]


def test_a_saturated_instant_is_a_gap_if_the_service_ignores_the_order() -> None:
    service = MemoryService(overlooks_order=True, store_step_ns=NS_PER_MS)
    service.add(START_NS + 4 * NS_PER_MS, "before")
    for number in range(30):
        service.add(START_NS + 5 * NS_PER_MS, f"{number}")

    slices = read(service, Window(START_NS, END_NS), top=10)

    assert any(one.hole for one in slices)
    assert len(entries(slices)) == len(set(entries(slices)))
