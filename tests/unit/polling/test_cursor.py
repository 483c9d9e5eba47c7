from collections import Counter

import hypothesis.strategies as st
from hypothesis import given

from tailer.model import Entry, Window
from tailer.polling.cursor import Cursor
from tailer.polling.pages import Slice
from tailer.timestamp import NS_PER_S

LATENESS_NS = 10 * NS_PER_S
LINES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("ab"), st.sampled_from("pq")), max_size=20
)


def entry(msg: str, pod: str = "p") -> Entry:
    return Entry(timestamp="2023-11-14T22:13:20Z", pod=pod, msg=msg)


def shown(
    *lines: tuple[int, Entry], start_s: int = 0, end_s: int = 1000, now_s: int = 1000
) -> Slice:
    ordered = sorted(lines, key=lambda line: line[0])
    return Slice(
        Window(start_s * NS_PER_S, end_s * NS_PER_S),
        tuple(line for _, line in ordered),
        tuple(time_s * NS_PER_S for time_s, _ in ordered),
        now_s * NS_PER_S,
    )


def taken(cursor: Cursor, slice_: Slice) -> list[Entry]:
    step = cursor.observe(slice_)
    cursor.commit(step)
    return list(step.fresh)


def test_a_line_seen_before_is_not_new() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((995, entry("a"))))

    assert taken(cursor, shown((995, entry("a")), (996, entry("b")))) == [entry("b")]


def test_identical_lines_are_two_lines() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((995, entry("a"))))

    assert taken(cursor, shown(*[(995, entry("a"))] * 3)) == [entry("a"), entry("a")]


def test_the_same_message_of_another_pod_is_another_line() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((995, entry("a", "p"))))

    assert taken(cursor, shown((995, entry("a", "p")), (995, entry("a", "q")))) == [entry("a", "q")]


def test_a_line_that_was_hidden_and_reappears_is_not_new() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((995, entry("a")), (995, entry("a"))))
    taken(cursor, shown((995, entry("a"))))

    assert taken(cursor, shown((995, entry("a")), (995, entry("a")))) == []


def test_a_step_that_is_not_committed_changes_nothing() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    cursor.observe(shown((995, entry("a"))))

    assert cursor.watermark_ns == 0
    assert taken(cursor, shown((995, entry("a")))) == [entry("a")]


def test_a_complete_read_moves_the_watermark_to_the_lateness() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown(end_s=1060, now_s=1000))

    assert cursor.watermark_ns == 990 * NS_PER_S


def test_a_page_moves_the_watermark_only_to_its_last_line() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown(end_s=50, now_s=1000))

    assert cursor.watermark_ns == 50 * NS_PER_S


def test_a_read_from_after_the_watermark_does_not_move_it() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown(start_s=1, end_s=1060))

    assert cursor.watermark_ns == 0


def test_a_line_dated_in_the_future_does_not_push_the_watermark() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((5000, entry("a")), end_s=9000, now_s=1000))

    assert cursor.watermark_ns == 990 * NS_PER_S


def test_late_lines_are_counted_as_such() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown((995, entry("a")), now_s=1000))

    step = cursor.observe(
        shown((995, entry("a")), (994, entry("b")), (1001, entry("c")), now_s=1002)
    )

    assert (len(step.late_ns), step.repeated) == (1, 1)


def test_lines_before_the_watermark_are_discarded() -> None:
    cursor = Cursor(0, lateness_ns=LATENESS_NS)
    taken(cursor, shown(*[(second, entry("a")) for second in range(900, 1000)]))

    assert len(cursor) <= 11


def test_a_full_memory_shortens_the_lateness_and_reports_it() -> None:
    cursor = Cursor(0, lateness_ns=1000 * NS_PER_S, max_keys=40)
    step = cursor.observe(shown(*[(second, entry("a")) for second in range(100)], now_s=500))
    cursor.commit(step)

    assert step.forgotten is not None
    assert step.forgotten.start_ns == 0
    assert cursor.watermark_ns == step.forgotten.end_ns
    assert len(cursor) <= 40
    assert len(step.fresh) == 100


@given(LINES, LINES)
def test_two_reads_give_the_higher_count_of_each_line(
    first: list[tuple[int, str, str]], second: list[tuple[int, str, str]]
) -> None:
    cursor = Cursor(0, lateness_ns=10**6 * NS_PER_S)
    slices = [
        shown(*[(time_s, entry(msg, pod)) for time_s, msg, pod in lines])
        for lines in (first, second)
    ]
    fresh: Counter[tuple[int, Entry]] = Counter()
    for slice_ in slices:
        step = cursor.observe(slice_)
        cursor.commit(step)
        fresh.update(zip(step.times_ns, step.fresh, strict=True))

    seen = [Counter(zip(one.times_ns, one.entries, strict=True)) for one in slices]
    assert fresh == seen[0] | seen[1]


@given(LINES, LINES)
def test_a_cursor_rebuilt_from_what_was_delivered_is_the_same_cursor(
    first: list[tuple[int, str, str]], second: list[tuple[int, str, str]]
) -> None:
    cursor = Cursor(0, lateness_ns=10**6 * NS_PER_S)
    delivered = cursor.observe(shown(*[(time_s, entry(msg, pod)) for time_s, msg, pod in first]))
    cursor.commit(delivered)
    rebuilt = Cursor(0, lateness_ns=10**6 * NS_PER_S)
    rebuilt.remember(delivered.fresh, delivered.times_ns)

    later = shown(*[(time_s, entry(msg, pod)) for time_s, msg, pod in second])
    assert rebuilt.observe(later).fresh == cursor.observe(later).fresh
