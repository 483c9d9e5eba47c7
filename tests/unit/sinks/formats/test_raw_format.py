"""raw: the message and nothing but the message."""

from support.batches import batch, line

from tailer.model import Entry
from tailer.sinks.formats.build import FormatSettings, build_formatter

RAW = build_formatter(FormatSettings(format="raw", escape=True), [])


def test_messages_are_unchanged_even_on_a_terminal() -> None:
    page = RAW(batch(line("\x1b[31mred\x1b[0m\n"), line("no newline"), line("höhe\r\n")))

    assert page == "\x1b[31mred\x1b[0m\nno newline\nhöhe\r\n".encode()


def test_only_one_trailing_newline_is_the_lines_own() -> None:
    assert RAW(batch(line("a\n\n"))) == b"a\n\n"


def test_a_missing_message_is_an_empty_line() -> None:
    assert RAW(batch(Entry(), Entry(msg=None))) == b"\n\n"


def test_half_a_surrogate_pair_is_spelled_as_in_json() -> None:
    assert RAW(batch(line("a\ud800"))) == b"a\\ud800\n"
