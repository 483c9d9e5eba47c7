"""Control characters are escaped, printable text is kept; a cut divides no escape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import any_text, lines
from support.syslog.formatted import formatter
from support.syslog.rfc5424_reader import read

from tailer.sinks.syslog.escaping import Escaper, cut_position, split

FORGED = "x\n<130>1 - - sudo - - - root granted\r<130>1 - - sudo - - - root granted\0"


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("escape", r"\x1b \x9b \u2028 \x00 \x7f \ud800 \x0d"),
        ("octal", r"#033 #302#233 #342#200#250 #000 #177 \ud800 #015"),
        ("raw", "\x1b \x9b \u2028 \\x00 \x7f \\ud800 \\x0d"),
    ],
)
def test_each_mode_escapes_as_documented(mode: str, shown: str) -> None:
    [message] = formatter(control_characters=mode)(lines("\x1b \x9b \u2028 \0 \x7f \ud800 \r"))

    assert read(message).msg == shown


@pytest.mark.parametrize("mode", ["escape", "octal", "raw"])
def test_tabs_umlauts_and_emoji_survive(mode: str) -> None:
    text = "\tgrößer ½ 👩\u200d🚀 \u202eabc \ufeff # \\ ]"
    [message] = formatter(control_characters=mode)(lines(text))

    assert read(message).msg == text


@pytest.mark.parametrize("mode", ["escape", "octal", "raw"])
def test_no_line_forges_a_second_record(mode: str) -> None:
    [message] = formatter(control_characters=mode)(lines(FORGED))

    assert not {0, 10, 13} & set(message)


def test_newlines_are_kept_where_they_can_be_and_a_nul_never() -> None:
    write = formatter(control_characters="raw", may_hold_newlines=True)

    assert read(write(lines(FORGED))[0]).msg == FORGED.replace("\0", r"\x00")


@given(st.lists(any_text), st.sampled_from(["escape", "octal", "raw"]), st.booleans())
def test_escape_all_escapes_each_line(texts: list[str], mode: str, newlines: bool) -> None:
    escaper = Escaper(mode, may_hold_newlines=newlines)  # type: ignore[arg-type]

    assert escaper.escape_all(texts) == [escaper.escape(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        (b"abcdef", 3, 3),
        (b"abcdef", 6, 6),
        ("aä€😀".encode(), 2, 1),
        ("aä€😀".encode(), 5, 3),
        ("aä€😀".encode(), 9, 6),
        (rb"abc\x1bdef", 5, 3),
        (rb"abc\x1bdef", 7, 7),
        (rb"abc\u2028def", 8, 3),
        (rb"a\x1b\x1b\x1b", 7, 5),
        (b"abc#033def", 4, 3),
        (b"abc#999def", 4, 4),
    ],
)
def test_a_cut_divides_no_character_and_no_escape(text: bytes, end: int, expected: int) -> None:
    assert cut_position(text, end) == expected


@given(any_text, st.integers(1, 60), st.integers(32, 80))
def test_parts_of_a_split_are_whole_characters_and_together_the_text(
    text: str, times: int, room: int
) -> None:
    whole = Escaper("escape", may_hold_newlines=False).escape(text * times).encode()
    parts = split(whole, room)

    assert b"".join(parts) == whole
    assert all(0 < len(part) <= room and part.decode() for part in parts)
