"""Counters and last lines of the printed output."""

from dataclasses import replace

import pytest
from support.fakes import TARGET

from tailer.logs.printed import LastLines, PrintedLines
from tailer.model import Batch, Entry

ERRORS = Entry(msg="to stderr\n", stream="stderr")


def batch(*entries: Entry, from_ns: int = 1) -> Batch:
    return Batch(1, TARGET, entries, tuple(range(from_ns, from_ns + len(entries))))


def test_the_last_lines_are_ordered_by_their_timestamps() -> None:
    last = LastLines(2)
    for time_ns, message in ((3, "third"), (1, "first, late"), (2, "second, late"), (3, "fourth")):
        last.record(time_ns, message)

    assert last.lines == ["third", "fourth"]


def test_only_the_beginning_of_a_long_line_is_kept() -> None:
    last = LastLines(1)
    last.record(1, "x" * 1_000_000)

    assert len(last.lines[0]) == 2001


def test_stderr_is_also_recognized_by_a_container_runtimes_prefix() -> None:
    printed_lines = PrintedLines(context=5)
    prefixed = Entry(msg="2022-11-04T12:49:51.440561519Z stderr F wrapped\n")

    printed_lines.record(batch(Entry(msg="to stdout\n", stream="stdout"), ERRORS, prefixed))

    assert printed_lines.of(TARGET).on_stderr.lines == ["to stderr", "wrapped"]
    assert printed_lines.of(TARGET).on_any.lines == ["to stdout", "to stderr", "wrapped"]


def test_lines_are_counted_with_the_first_and_the_last_time() -> None:
    printed_lines = PrintedLines()

    printed_lines.record(batch(ERRORS, ERRORS, from_ns=10))
    printed_lines.record(batch(ERRORS, from_ns=5))

    printed = printed_lines.of(TARGET)
    assert (printed_lines.lines, printed.first_ns, printed.last_ns) == (3, 5, 11)


@pytest.mark.parametrize("sizes", [(5,), (2, 2, 2), (3, 1)])
def test_every_output_gets_the_same_lines_up_to_max_lines(sizes: tuple[int, ...]) -> None:
    printed_lines = PrintedLines(max_lines=3)
    batches = [batch(*[ERRORS] * size) for size in sizes]

    for narrow in (printed_lines.limited(lambda it: it), printed_lines.limited(lambda it: it)):
        assert sum(len(narrow(one).entries) for one in batches) == 3


def test_the_last_lines_of_many_targets_are_bounded() -> None:
    printed_lines = PrintedLines(context=5, max_size=10_000)
    targets = [replace(TARGET, id=f"e{number}") for number in range(100)]
    for target in targets:
        printed_lines.record(replace(batch(*[ERRORS] * 8), target=target))
        printed_lines.record(replace(batch(ERRORS), target=targets[0]))

    kept = [target for target in targets if printed_lines.of(target).on_any.lines]

    assert sum(printed_lines.of(target).size for target in targets) <= 10_000
    assert kept == [targets[0], *targets[-len(kept) + 1 :]]
    assert len(kept) > 2
    assert printed_lines.lines == 900


def test_a_single_target_keeps_its_last_lines_of_any_length() -> None:
    printed_lines = PrintedLines(context=5, max_size=1)
    printed_lines.record(batch(ERRORS))

    assert printed_lines.of(TARGET).on_any.lines == ["to stderr"]
