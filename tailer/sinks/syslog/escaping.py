r"""Control characters; cutting and splitting.

Control characters in strangers' text, spelled out so that no receiver obeys them. Pure.

A newline within a message would forge a second record, a NUL would end it, an ESC would
reach the terminal of whoever reads it. Which of them is spelled how:

| mode   | C0 without tab, DEL | C1, U+2028, U+2029   | NUL    | half a surrogate pair |
|--------|---------------------|----------------------|--------|-----------------------|
| escape | `\x1b`              | `\x9b`, `\u2028`     | `\x00` | `\ud800`              |
| octal  | `#033`              | `#302#233`           | `#000` | `\ud800`              |
| raw    | as they are         | as they are          | `\x00` | `\ud800`              |

A tab is kept in each of them. "raw" spells LF and CR too (`\x0a`, `\x0d`) where a line
ends a record: some readers take a lone CR for an end. A backslash or `#` stays single:
this is for reading, not for reading back.

Where to cut a text that is too long. Pure.

Never within a character, nor within one that is spelled out.
"""

import re
from collections.abc import Sequence
from typing import Final

from tailer.config.settings import ControlCharacters
from tailer.text import visible

_C0_AND_DEL: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # all but tab
_UNSAFE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_C1: Final = re.compile(rb"\xc2[\x80-\x9f]")  # in UTF-8
_LINE_AND_PARAGRAPH_ENDS: Final = ("\u2028".encode(), "\u2029".encode())
_NUL: Final = re.compile("[\x00\ud800-\udfff]")
_LINE_ENDS_AND_NUL: Final = re.compile("[\x00\n\r\ud800-\udfff]")


class Spelling:
    def __init__(self, mode: ControlCharacters, *, may_hold_newlines: bool) -> None:
        self._spelled = _in_octal if mode == "octal" else _visibly
        if mode != "raw":
            self._ascii, self._pattern, self._beyond_ascii = _C0_AND_DEL, _UNSAFE, True
        elif may_hold_newlines:
            self._ascii, self._pattern, self._beyond_ascii = b"\0", _NUL, False
        else:
            self._ascii, self._pattern, self._beyond_ascii = b"\0\n\r", _LINE_ENDS_AND_NUL, False

    def line(self, text: str) -> str:
        return self._pattern.sub(self._spelled, text)

    def lines(self, texts: list[str]) -> list[str]:
        """Most pages have nothing to spell out, so that is asked of the page as a whole."""
        return texts if self._is_clean(texts) else [self.line(text) for text in texts]

    def _is_clean(self, texts: Sequence[str]) -> bool:
        try:
            page = "".join(texts).encode()
        except UnicodeEncodeError:
            return False
        if len(page.translate(None, self._ascii)) < len(page):
            return False
        return not self._beyond_ascii or page.isascii() or not _has_unsafe_beyond_ascii(page)


def _has_unsafe_beyond_ascii(page: bytes) -> bool:
    return any(end in page for end in _LINE_AND_PARAGRAPH_ENDS) or _C1.search(page) is not None


def _visibly(match: re.Match[str]) -> str:
    return visible(match[0])


def _in_octal(match: re.Match[str]) -> str:
    """As rsyslog does with what it receives. Half a surrogate pair has no bytes."""
    if "\ud800" <= match[0] <= "\udfff":
        return visible(match[0])
    return "".join([f"#{byte:03o}" for byte in match[0].encode()])


_SPELLED: Final = re.compile(rb"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|#[0-3][0-7]{2}")
_LONGEST_SPELLED: Final = len(r"\ud800")
_CONTINUES: Final = range(0x80, 0xC0)  # UTF-8: not the first byte of a character
LEAST_PIECE: Final = 32  # bytes; the room for a piece is larger by more than a cut moves


def cut(text: bytes, end: int, *, start: int = 0) -> int:
    """Where to cut, at or shortly before `end`, what goes on at `start`."""
    if end >= len(text):
        return len(text)
    while text[end] in _CONTINUES:
        end -= 1
    nearby = max(start, end - _LONGEST_SPELLED + 1)
    for spelled in _SPELLED.finditer(text, nearby, end + _LONGEST_SPELLED):
        if spelled.start() < end < spelled.end():
            return spelled.start()
    return end


def pieces(text: bytes, room: int) -> list[bytes]:
    """All of the text, in pieces of `room` bytes at most."""
    found, start = [], 0
    while start < len(text):
        end = cut(text, start + room, start=start)
        found.append(text[start:end])
        start = end
    return found


def most_pieces(text: bytes) -> int:
    """No text is cut into more, which is known before it is cut."""
    return len(text) // LEAST_PIECE + 1
