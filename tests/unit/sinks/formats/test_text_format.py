"""The text format: shortest useful prefix, and no control characters to a terminal."""

import re
from datetime import UTC

import pytest
from hypothesis import given
from support.batches import any_batches, any_text, batch, line

from tailer.model import Batch, Entry, Kind, Target
from tailer.sinks.formats.build import FormatSettings, Formatter, build_formatter

DEPLOYMENT = Target("default", Kind.DEPLOYMENT, "d1a2")
EXECUTION = Target("default", Kind.EXECUTION, "e3f4")
OTHER_GROUP = Target("team-a", Kind.DEPLOYMENT, "d5b6")

_OUR_COLORS = re.compile(r"\x1b\[(?:0|2|7|38;5;[0-9]+)m")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)


def text(*watched: Target, **settings: object) -> Formatter:
    return build_formatter(FormatSettings(format="text", **settings), watched)  # type: ignore[arg-type]


def shown(formatter: Formatter, *entries: Entry, target: Target = DEPLOYMENT) -> str:
    return formatter(batch(*entries, target=target)).decode()


def test_a_single_source_needs_no_prefix() -> None:
    assert shown(text(DEPLOYMENT), line("one\n"), line("two\n")) == "one\ntwo\n"


def test_pods_are_named_by_their_differing_parts() -> None:
    page = shown(
        text(DEPLOYMENT),
        line("one", pod="d1a2-predictor-7d9f-abcde"),
        line("two", pod="d1a2-predictor-7d9f-fghij"),
    )

    assert page == "abcde │ one\nfghij │ two\n"


def test_a_second_pod_makes_the_first_one_named_from_then_on() -> None:
    formatter = text(DEPLOYMENT)
    first = shown(formatter, line("one", pod="a"))
    shown(formatter, line("two", pod="b"))
    third = shown(formatter, line("three", pod="a"))

    assert (first, third) == ("one\n", "a │ three\n")


def test_containers_are_named_once_there_are_several() -> None:
    page = shown(text(DEPLOYMENT), line("one", container="main"), line("two", container="wait"))

    assert page == "main │ one\nwait │ two\n"


def test_a_line_without_a_pod_shows_a_dash_among_pods() -> None:
    page = shown(text(DEPLOYMENT), line("1", pod="a"), line("2", pod="b"), Entry(msg="3"))

    assert page == "a │ 1\nb │ 2\n- │ 3\n"


def test_pods_of_different_targets_are_not_compared_with_each_other() -> None:
    formatter = text(DEPLOYMENT, Target("default", Kind.DEPLOYMENT, "d9"))
    shown(formatter, line("one", pod="a"))
    page = shown(formatter, line("two", pod="b"), target=Target("default", Kind.DEPLOYMENT, "d9"))

    assert page == "d9 │ two\n"


def test_targets_are_named_from_the_start_if_several_are_watched() -> None:
    formatter = text(DEPLOYMENT, Target("default", Kind.DEPLOYMENT, "d9"))

    assert shown(formatter, line("one")) == "d1a2 │ one\n"


def test_the_kind_is_shown_once_both_kinds_are_watched() -> None:
    assert shown(text(DEPLOYMENT, EXECUTION), line("one")) == "deployment/d1a2 │ one\n"


def test_the_resource_group_is_shown_once_there_are_several() -> None:
    assert shown(text(DEPLOYMENT, OTHER_GROUP), line("one")) == "default d1a2 │ one\n"


def test_a_target_found_later_makes_all_of_them_named() -> None:
    formatter = text(DEPLOYMENT)
    shown(formatter, line("one"))
    found = shown(formatter, line("two"), target=EXECUTION)
    after = shown(formatter, line("three"))

    assert (found, after) == ("execution/e3f4 │ two\n", "deployment/d1a2 │ three\n")


def test_further_lines_of_a_message_are_indented_under_the_first() -> None:
    page = shown(text(DEPLOYMENT, EXECUTION), line("Traceback\n  File\n\nError\n"))

    assert page == (
        "deployment/d1a2 │ Traceback\n                    File\n\n                  Error\n"
    )


def test_further_lines_are_indented_also_with_a_time() -> None:
    page = shown(text(DEPLOYMENT, timestamps=True, timezone=UTC), line("one\ntwo"))

    assert page == "2024-09-18T16:06:50.914Z one\n" + " " * 25 + "two\n"


def test_the_time_is_the_one_parsed_by_the_cursor() -> None:
    page = shown(text(DEPLOYMENT, timestamps=True, timezone=UTC), Entry(msg="undated"))

    assert page == "2024-09-18T16:06:50.914Z undated\n"


def test_a_container_runtimes_prefix_is_removed() -> None:
    page = shown(
        text(DEPLOYMENT),
        line("2022-11-04T12:49:51.440561519Z stderr F Starting\n"),
        line("2022-11-04T12:49:51.50801337Z stdout F "),
        line("it said stdout F to me"),
    )

    assert page == "Starting\n\nit said stdout F to me\n"


def test_a_terminal_shows_the_last_state_of_a_progress_bar() -> None:
    page = shown(text(DEPLOYMENT, escape=True), line("\r 10%\r 20%\r100%\n"), line("\r 10%"))

    assert page == "… 100%\n 10%\n"


def test_a_file_gets_all_states_of_a_progress_bar() -> None:
    assert shown(text(DEPLOYMENT), line("\r 10%\r100%\n")) == "\r 10%\r100%\n"


def test_a_line_end_of_windows_is_a_line_end() -> None:
    assert shown(text(DEPLOYMENT), line("one\r\n"), line("two\r\nthree\r\n")) == "one\ntwo\nthree\n"


def test_a_terminal_shows_control_characters_spelled_out() -> None:
    page = shown(text(DEPLOYMENT, escape=True), line("\x1b[31mred\t\x9b\u202e\u200b\n"))

    assert page == "\\x1b[31mred\t\\x9b\\u202e\\u200b\n"


def test_a_file_gets_control_characters_unchanged() -> None:
    assert shown(text(DEPLOYMENT), line("\x1b[31mred\n")) == "\x1b[31mred\n"


def test_names_cannot_control_a_terminal() -> None:
    page = shown(text(DEPLOYMENT), line("one", pod="a\x1b[2J"), line("two", pod="b\n"))

    assert page == "a\\x1b[2J │ one\nb\\x0a │ two\n"


@given(any_batches)
def test_nothing_unsafe_ever_reaches_a_terminal(source: Batch) -> None:
    page = text(timestamps=True, timezone=UTC, escape=True)(source).decode()

    assert _UNSAFE.search(page) is None


@given(any_batches)
def test_nothing_but_our_own_colors_reaches_a_colored_terminal(source: Batch) -> None:
    formatter = text(DEPLOYMENT, in_color=True, escape=True, highlight=(re.compile("a"),))
    page = formatter(source).decode()

    assert _UNSAFE.search(_OUR_COLORS.sub("", page)) is None


@given(any_batches)
def test_every_line_of_every_message_is_one_line(source: Batch) -> None:
    page = text()(source).decode()

    newlines = sum(
        entry.msg.removesuffix("\n").count("\n") if isinstance(entry.msg, str) else 0
        for entry in source.entries
    )
    assert page.count("\n") == len(source.entries) + newlines
    assert page == "" or page.endswith("\n")


@given(any_text, any_text)
def test_a_page_shown_at_once_looks_like_its_lines_shown_one_by_one(one: str, two: str) -> None:
    entries = (line(one), line(two))
    together = shown(text(escape=True), *entries)
    formatter = text(escape=True)

    assert together == shown(formatter, entries[0]) + shown(formatter, entries[1])


def test_a_pod_keeps_its_color_in_every_run() -> None:
    page = shown(text(DEPLOYMENT, EXECUTION, in_color=True), line("one", pod="pod-a"))

    assert page == "\x1b[38;5;130mdeployment/d1a2\x1b[0m \x1b[2m│\x1b[0m one\n"


def test_stderr_has_a_red_bar_once_both_streams_are_seen() -> None:
    page = shown(text(DEPLOYMENT, in_color=True), line("out"), line("err", stream="stderr"))

    assert page == "\x1b[2m│\x1b[0m out\n\x1b[38;5;160m│\x1b[0m err\n"


def test_a_stream_is_recovered_from_a_container_runtimes_prefix() -> None:
    page = shown(
        text(DEPLOYMENT, in_color=True),
        Entry(msg="2022-11-04T12:49:51.440561519Z stdout F out"),
        Entry(msg="2022-11-04T12:49:51.440561519Z stderr F err"),
    )

    assert page == "\x1b[2m│\x1b[0m out\n\x1b[38;5;160m│\x1b[0m err\n"


@pytest.mark.parametrize(
    ("in_color", "expected"), [(True, "an \x1b[7merror\x1b[0m\n"), (False, "an error\n")]
)
def test_matches_are_highlighted_with_color(*, in_color: bool, expected: str) -> None:
    formatter = text(
        DEPLOYMENT, in_color=in_color, highlight=(re.compile("err"), re.compile("rror"))
    )

    assert shown(formatter, line("an error\n")) == expected


def test_any_number_of_pods_is_remembered_in_bounded_space() -> None:
    formatter = text(DEPLOYMENT)
    for number in range(3000):
        shown(formatter, line("x", pod=f"pod-{number}"))

    assert shown(formatter, line("x", pod="pod-1")) == "1 │ x\n"


def test_a_batch_without_lines_is_no_bytes() -> None:
    assert text()(batch()) == b""
