"""Which lines a sink wants."""

import re

import pytest
from support.batches import batch, line

from tailer.errors import ConfigError
from tailer.model import Entry
from tailer.sinks.lines import LineFilter, compile_pattern


def patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text) for text in texts)


def test_without_criteria_every_line_passes() -> None:
    source = batch(line("a"), Entry())

    assert LineFilter().narrow(source) is source


@pytest.mark.parametrize(
    ("message", "passes"), [("an error", True), ("a fault", True), ("ok", False)]
)
def test_one_included_pattern_is_enough_to_pass(message: str, *, passes: bool) -> None:
    assert LineFilter(include=patterns("err", "fault")).passes(line(message)) is passes


@pytest.mark.parametrize(("message", "passes"), [("GET /health", False), ("GET /v2", True)])
def test_one_excluded_pattern_is_enough_to_drop(message: str, *, passes: bool) -> None:
    assert LineFilter(exclude=patterns("/health", "/ready")).passes(line(message)) is passes


def test_exclusion_wins_over_inclusion() -> None:
    wanted = LineFilter(include=patterns("GET"), exclude=patterns("health"))

    assert not wanted.passes(line("GET /health"))


def test_the_end_of_a_message_is_before_its_newline() -> None:
    assert not LineFilter(exclude=patterns(r"^$")).passes(line("\n"))


def test_a_missing_message_counts_as_empty() -> None:
    assert LineFilter(include=patterns(r"^$")).passes(Entry())


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        (line("x", pod="web-1"), True),
        (line("x", pod="db"), False),
        (Entry(), False),
        (Entry(pod=None), False),
    ],
)
def test_a_pod_pattern_does_not_match_a_missing_pod(entry: Entry, *, passes: bool) -> None:
    assert LineFilter(pods=patterns("^web")).passes(entry) is passes


@pytest.mark.parametrize(
    ("entry", "passes"),
    [(line("x", container="main"), True), (line("x", container="wait"), False), (Entry(), False)],
)
def test_a_container_pattern_does_not_match_a_missing_container(
    entry: Entry, *, passes: bool
) -> None:
    assert LineFilter(containers=patterns("main", "init")).passes(entry) is passes


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        (line("x", stream="stderr"), True),
        (line("x", stream="stderr2"), False),
        (Entry(msg="x"), False),
        (Entry(msg="2022-11-04T12:49:51.440561519Z stderr F x"), True),
        (Entry(msg="2022-11-04T12:49:51.440561519Z stdout F x"), False),
    ],
)
def test_a_stream_matches_exactly(entry: Entry, *, passes: bool) -> None:
    assert LineFilter(streams=frozenset({"stderr"})).passes(entry) is passes


def test_lines_that_pass_keep_their_order_and_their_times() -> None:
    source = batch(line("a"), line("b"), line("ab"), time_ns=100)
    narrowed = LineFilter(include=patterns("a")).narrow(source)

    assert [entry.msg for entry in narrowed.entries] == ["a", "ab"]
    assert narrowed.times_ns == (100, 102)
    assert (narrowed.position, narrowed.target) == (source.position, source.target)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("(", r"--include '\(' is not a regular expression: .*at position 0"),
        ("a**", r"--include 'a\*\*' is not a regular expression: multiple repeat at position 2"),
        ("a{99999999999}", "--include .* is too large"),
    ],
)
def test_an_invalid_pattern_is_rejected_with_flag_text_and_position(
    text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        compile_pattern(text, "--include")


def test_a_deprecated_pattern_causes_no_warning() -> None:
    assert compile_pattern("[[a]", "--include").search("a") is not None
