"""Colours for people. Pure.

Every colour is legible on black and on white: contrast at least 3.8 against both.
"""

import re
import zlib
from collections.abc import Iterable, Sequence

from tailer.sinks.escape import encode

POD_COLOURS = (130, 100, 28, 30, 32, 27, 99, 133, 164, 162)  # of xterm's 256; no red
STDERR_COLOUR = 160  # red

_RESET = "\x1b[0m"


def pod_colour(name: str) -> int:
    """The same for the same name, on every machine and in every run."""
    return POD_COLOURS[zlib.crc32(encode(name)) % len(POD_COLOURS)]


def painted(text: str, colour: int) -> str:
    return f"\x1b[38;5;{colour}m{text}{_RESET}"


def dimmed(text: str) -> str:
    return f"\x1b[2m{text}{_RESET}"


def highlighted(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    """`text` with what the patterns find in reverse video; finds that touch become one."""
    pieces = []
    shown = 0  # characters of `text` in `pieces`
    for start, end in _joined(match.span() for each in patterns for match in each.finditer(text)):
        pieces.append(f"{text[shown:start]}\x1b[7m{text[start:end]}{_RESET}")
        shown = end
    return "".join([*pieces, text[shown:]])


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, not empty, and neither overlapping nor touching."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined
