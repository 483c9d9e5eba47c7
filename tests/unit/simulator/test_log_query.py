"""The query at the heart of the simulator, in every dialect the documentation leaves open."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.model import Order
from tailer.simulator.line_store import Line, LineStore
from tailer.simulator.requests import LogQuery
from tailer.simulator.settings import Dialect

SECOND = 10**9
MS = 10**6
NOW = 100 * SECOND


def filled(dialect: Dialect, *lines: Line) -> LineStore:
    store = LineStore(dialect)
    store.add(lines)
    return store


def line(
    at_ns: int, text: str = "", *, visible_ns: int = 0, hidden: tuple[int, int] = (0, 0)
) -> Line:
    return Line(at_ns, visible_ns, (text or str(at_ns)).encode(), *hidden)


def asked(
    store: LineStore,
    start_ns: int,
    end_ns: int,
    *,
    top: int = 5000,
    order: Order = Order.ASC,
    now_ns: int = NOW,
) -> list[str]:
    found = store.query(LogQuery(start_ns, end_ns, top, order), now_ns=now_ns)
    return [entry.decode() for entry in found]


@pytest.mark.parametrize(
    ("start_inclusive", "end_inclusive", "expected"),
    [
        (True, False, ["10", "20"]),
        (True, True, ["10", "20", "30"]),
        (False, False, ["20"]),
        (False, True, ["20", "30"]),
    ],
)
def test_either_bound_can_belong_to_the_range_or_not(
    start_inclusive: bool,
    end_inclusive: bool,
    expected: list[str],
) -> None:
    dialect = Dialect(start_inclusive=start_inclusive, end_inclusive=end_inclusive)
    store = filled(dialect, *(line(at_ns) for at_ns in (0, 10, 20, 30, 40)))

    assert asked(store, 10, 30) == expected


@pytest.mark.parametrize(
    ("start_inclusive", "end_inclusive", "expected"),
    [
        (True, False, ["1", "2"]),
        (True, True, ["1", "2", "3"]),
        (False, False, ["2"]),
        (False, True, ["2", "3"]),
    ],
)
def test_a_store_of_milliseconds_cuts_the_bounds_to_milliseconds(
    start_inclusive: bool,
    end_inclusive: bool,
    expected: list[str],
) -> None:
    dialect = Dialect(resolution="ms", start_inclusive=start_inclusive, end_inclusive=end_inclusive)
    store = filled(dialect, *(line(ms * MS, str(ms)) for ms in range(5)))

    assert asked(store, 1 * MS + 999_999, 3 * MS + 999_999) == expected


def test_a_store_of_nanoseconds_uses_exact_bounds() -> None:
    store = filled(Dialect(), *(line(ms * MS, str(ms)) for ms in range(5)))

    assert asked(store, 1 * MS + 1, 3 * MS + 1) == ["2", "3"]


def test_asc_gives_the_oldest_and_desc_the_newest_of_too_many() -> None:
    store = filled(Dialect(), *(line(at_ns) for at_ns in range(9)))

    assert asked(store, 0, 9, top=2) == ["0", "1"]
    assert asked(store, 0, 9, top=2, order=Order.DESC) == ["8", "7"]


def test_lines_of_one_instant_keep_their_order_and_desc_reverses_it() -> None:
    store = filled(Dialect(), line(5, "a"), line(5, "b"), line(7, "z"), line(5, "c"))

    assert asked(store, 0, 9) == ["a", "b", "c", "z"]
    assert asked(store, 0, 9, order=Order.DESC) == ["z", "c", "b", "a"]


def test_a_late_line_is_missing_until_it_arrives_and_then_is_in_order() -> None:
    store = filled(Dialect(), line(1, "a"), line(2, "late", visible_ns=50), line(3, "c"))

    assert asked(store, 0, 9, now_ns=49) == ["a", "c"]
    assert asked(store, 0, 9, now_ns=50) == ["a", "late", "c"]


@pytest.mark.parametrize(("now_ns", "is_there"), [(19, True), (20, False), (29, False), (30, True)])
def test_a_line_can_be_hidden_for_a_while(now_ns: int, is_there: bool) -> None:
    store = filled(Dialect(), line(1, "shy", hidden=(20, 30)))

    assert bool(asked(store, 0, 9, now_ns=now_ns)) is is_there


def test_lines_older_than_the_retention_are_gone() -> None:
    store = filled(Dialect(retention_s=10), *(line(s * SECOND, str(s)) for s in (89, 90, 91)))

    assert asked(store, 0, NOW) == ["90", "91"]


DIALECTS = [
    Dialect(start_inclusive=start, end_inclusive=end, resolution=resolution)
    for start, end in itertools.product([True, False], repeat=2)
    for resolution in ("ms", "ns")
]


@given(
    dialect=st.sampled_from(DIALECTS),
    arrivals=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), max_size=25),
    start=st.integers(0, 14),
    end=st.integers(0, 14),
    top=st.integers(1, 8),
    order=st.sampled_from(Order),
    now=st.integers(0, 14),
)
def test_a_query_is_a_filter_a_sort_and_a_cut(
    *,
    dialect: Dialect,
    arrivals: list[tuple[int, int]],
    start: int,
    end: int,
    top: int,
    order: Order,
    now: int,
) -> None:
    half_ms = MS // 2
    lines = [
        line(at * MS, f"{number}", visible_ns=(at + delay) * half_ms)
        for number, (at, delay) in enumerate(arrivals)
    ]
    store = filled(dialect, *lines)
    grain = MS if dialect.resolution == "ms" else 1
    low, high = (bound * half_ms // grain * grain for bound in (start, end))
    expected = [
        (it.at_ns, number, it.json.decode())
        for number, it in enumerate(lines)
        if it.visible_ns <= now * half_ms
        and (low < it.at_ns or (dialect.start_inclusive and low == it.at_ns))
        and (it.at_ns < high or (dialect.end_inclusive and it.at_ns == high))
    ]
    expected.sort(reverse=order is Order.DESC)

    found = asked(store, start * half_ms, end * half_ms, top=top, order=order, now_ns=now * half_ms)

    assert found == [text for _, _, text in expected[:top]]


def test_discarding_planned_lines_keeps_lines_added_by_a_test() -> None:
    scripted = msgspec.structs.replace(line(9, "scripted"), is_scripted=True)
    store = filled(Dialect(), line(1, "said"), line(8, "unsaid"), scripted)
    store.delete_after(5)

    assert asked(store, 0, 99) == ["said", "scripted"]
