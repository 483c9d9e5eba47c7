r"""Escape control characters in log text; truncate or split text that is too long. Pure.

Unescaped, a newline within a message would forge a second record, a NUL would end the
message, and an ESC would reach a reader's terminal.

| mode   | C0 without tab, DEL | C1, U+2028, U+2029   | NUL    | half a surrogate pair |
|--------|---------------------|----------------------|--------|-----------------------|
| escape | `\x1b`              | `\x9b`, `\u2028`     | `\x00` | `\ud800`              |
| octal  | `#033`              | `#302#233`           | `#000` | `\ud800`              |
| raw    | unchanged           | unchanged            | `\x00` | `\ud800`              |

No mode escapes a tab. "raw" also escapes LF and CR (`\x0a`, `\x0d`) where a line ends a
record: some readers end a record at a single CR. A backslash or `#` is not doubled, so the
escaped text cannot be converted back.

Text is never cut within a character or within an escape.
"""

import re
from collections.abc import Sequence
from typing import Final

from tailer.config.settings import ControlCharacters
from tailer.text import visible

_C0_AND_DEL: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # all but tab
_UNSAFE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_C1_AND_SEPARATORS: Final = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")  # in UTF-8
_NUL: Final = re.compile("[\x00\ud800-\udfff]")
_LINE_ENDS_AND_NUL: Final = re.compile("[\x00\n\r\ud800-\udfff]")


class Escaper:
    def __init__(self, mode: ControlCharacters, *, may_hold_newlines: bool) -> None:
        self._escaped = _octal if mode == "octal" else _visible
        self._checks_beyond_ascii = mode != "raw"
        if mode != "raw":
            self._ascii, self._pattern = _C0_AND_DEL, _UNSAFE
        elif may_hold_newlines:
            self._ascii, self._pattern = b"\0", _NUL
        else:
            self._ascii, self._pattern = b"\0\n\r", _LINE_ENDS_AND_NUL

    def escape(self, text: str) -> str:
        return self._pattern.sub(self._escaped, text)

    def escape_all(self, texts: list[str]) -> list[str]:
        """Checks all texts at once first, because most pages need no escape."""
        return texts if self._is_clean(texts) else [self.escape(text) for text in texts]

    def _is_clean(self, texts: Sequence[str]) -> bool:
        try:
            page = "".join(texts).encode()
        except UnicodeEncodeError:
            return False
        if len(page.translate(None, self._ascii)) < len(page):
            return False
        is_ascii = not self._checks_beyond_ascii or page.isascii()
        return is_ascii or _C1_AND_SEPARATORS.search(page) is None


def _visible(match: re.Match[str]) -> str:
    return visible(match[0])


def _octal(match: re.Match[str]) -> str:
    """As rsyslog escapes received bytes. Half a surrogate pair has no bytes."""
    if "\ud800" <= match[0] <= "\udfff":
        return visible(match[0])
    return "".join([f"#{byte:03o}" for byte in match[0].encode()])


_ESCAPE: Final = re.compile(rb"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|#[0-3][0-7]{2}")
_MAX_ESCAPE_BYTES: Final = len(r"\ud800")
_CONTINUATION: Final = range(0x80, 0xC0)  # UTF-8: not the first byte of a character
MIN_PART_BYTES: Final = 32  # the room for a part is larger by more than a cut moves


def cut_position(text: bytes, end: int, *, start: int = 0) -> int:
    """The last position up to `end` that divides no character and no escape after `start`."""
    if end >= len(text):
        return len(text)
    while text[end] in _CONTINUATION:
        end -= 1
    nearby = max(start, end - _MAX_ESCAPE_BYTES + 1)
    for escape in _ESCAPE.finditer(text, nearby, end + _MAX_ESCAPE_BYTES):
        if escape.start() < end < escape.end():
            return escape.start()
    return end


def split(text: bytes, room: int) -> list[bytes]:
    """Split the text into parts of at most `room` bytes."""
    parts, start = [], 0
    while start < len(text):
        end = cut_position(text, start + room, start=start)
        parts.append(text[start:end])
        start = end
    return parts


def max_parts(text: bytes) -> int:
    """Upper bound of the number of parts, known before the split."""
    return len(text) // MIN_PART_BYTES + 1
