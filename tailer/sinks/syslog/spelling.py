r"""Control characters in strangers' text, spelled out so that no receiver obeys them. Pure.

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
"""

import re
from collections.abc import Sequence
from typing import Final

from tailer.config.settings import ControlCharacters
from tailer.sinks.escape import visible

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
