import random

import hypothesis.strategies as st
from hypothesis import given

from tailer.polling.saturation import join_ends


@given(st.integers(100, 197))
def test_ends_that_overlap_in_distinct_lines_are_complete(count: int) -> None:
    lines = list(range(count))
    head, tail = lines[:100], lines[-100:]

    joined, is_whole = join_ends(head, tail, head_keys=head, tail_keys=tail)

    assert joined == lines
    assert is_whole == (count <= 193)  # six lines of 200 might be an accident


@given(st.integers(), st.integers(0, 99))
def test_identical_lines_do_not_disturb_the_overlap(seed: int, overlap: int) -> None:
    rng = random.Random(seed)
    lines = [
        rng.randrange(1000) if rng.random() < 0.1 else -number for number in range(200 - overlap)
    ]
    head, tail = lines[:100], lines[-100:]

    joined, is_whole = join_ends(head, tail, head_keys=head, tail_keys=tail)

    if is_whole:
        assert joined == lines
    assert len(joined) >= len(lines) - 3


def test_ends_that_do_not_overlap_are_returned_as_incomplete() -> None:
    head, tail = list(range(100)), list(range(200, 300))

    assert join_ends(head, tail, head_keys=head, tail_keys=tail) == ([*head, *tail], False)


def test_identical_ends_give_each_line_once() -> None:
    head = list(range(100))
    tail = list(reversed(head))

    joined, is_whole = join_ends(head, tail, head_keys=head, tail_keys=tail)

    assert (sorted(joined), is_whole) == (head, False)


def test_pages_of_one_repeated_line_are_incomplete() -> None:
    joined, is_whole = join_ends(
        ["x"] * 100, ["x"] * 100, head_keys=["x"] * 100, tail_keys=["x"] * 100
    )

    assert (len(joined), is_whole) == (100, False)
