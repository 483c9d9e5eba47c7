"""Where to cut a text that is too long. Pure.

Never within a character, nor within one that is spelled out.
"""

import re
from typing import Final

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
