"""Shortest distinguishing prefix of a line; colors. Pure.

A name that all lines share is left out, and so are the parts that all names of a kind share.
Each new line can make prefixes longer, never shorter.
Every color is legible on black and on white: contrast at least 3.8 against both.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from tailer.model import Target, Text
from tailer.text import encode, visible

POD_COLORS = (130, 100, 28, 30, 32, 27, 99, 133, 164, 162)  # of xterm's 256; no red
STDERR_COLOR = 160  # red

_RESET = "\x1b[0m"
_BAR = "│"
_MAX_CACHED = 1000  # targets, and prefixes: a session may have any number of them


def pod_color(name: str) -> int:
    """The color of a pod, the same on every machine and in every run."""
    return POD_COLORS[zlib.crc32(encode(name)) % len(POD_COLORS)]


def painted(text: str, color: int) -> str:
    return f"\x1b[38;5;{color}m{text}{_RESET}"


def dimmed(text: str) -> str:
    return f"\x1b[2m{text}{_RESET}"


def highlighted(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    """`text` with all matches in reverse video; touching matches are joined."""
    pieces = []
    done = 0  # characters of `text` in `pieces`
    for start, end in _joined(match.span() for each in patterns for match in each.finditer(text)):
        pieces.append(f"{text[done:start]}\x1b[7m{text[start:end]}{_RESET}")
        done = end
    return "".join([*pieces, text[done:]])


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, without empty spans; overlapping and touching spans are joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined


class PrefixNames:
    """The common parts of the names so far, in constant space."""

    def __init__(self) -> None:
        self._head: list[str] | None = None  # the common first parts; None before the first name
        self._tail: list[str] = []
        self._fewest_parts = 0
        self.several = False

    def learn(self, name: str) -> bool:
        """Add a name; returns whether `several` or any result of `short` may have changed."""
        parts = name.split("-")
        if self._head is None:
            self._head = self._tail = parts
            self._fewest_parts = len(parts)
            return True
        before = (self._head, self._tail, self._fewest_parts, self.several)
        self.several = self.several or parts != self._head
        self._head = _common(self._head, parts)
        self._tail = _common(self._tail[::-1], parts[::-1])[::-1]
        self._fewest_parts = min(self._fewest_parts, len(parts))
        return before != (self._head, self._tail, self._fewest_parts, self.several)

    def short(self, name: str) -> str:
        """`name` without the parts between hyphens that all names share. Stays distinct."""
        most = self._fewest_parts - 1  # one part of every name must remain
        head = min(len(self._head or ()), most)
        tail = min(len(self._tail), most - head)
        parts = name.split("-")
        return "-".join(parts[head : len(parts) - tail])


def _common(some: list[str], others: list[str]) -> list[str]:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False))
    return [part for part, _ in pairs]


class LineOrigin(NamedTuple):
    """The source of a line within its target."""

    pod: Text
    container: Text
    stream: Text


_OriginNames: TypeAlias = tuple[PrefixNames, PrefixNames, PrefixNames]
"""For the fields of LineOrigin, in their order."""


class Prefix(NamedTuple):
    """`columns` is the width of `text` on the screen, without color codes."""

    text: str
    columns: int


class Prefixes:
    """The prefix of every line: `group target pod container │ `, in the color of the pod.

    - Group and target are shown once several of each occurred; the target's kind once both
      kinds occurred. They are never shortened: users copy them.
    - Pod and container are shown once several occurred in this target; `-` for a line without.
    - In color, the bar is red for stderr. It is shown without names, too, once both streams
      occurred in this target.
    """

    def __init__(self, watched: Iterable[Target], *, in_color: bool) -> None:
        self._in_color = in_color
        self._groups = PrefixNames()
        self._targets = PrefixNames()
        self._kinds = PrefixNames()
        self._origins: dict[Target, _OriginNames] = {}
        self._prefixes: dict[tuple[Target, LineOrigin], Prefix] = {}
        for target in watched:
            self._learn_target(target)

    def of(self, target: Target, origins: set[LineOrigin]) -> dict[LineOrigin, Prefix]:
        """The prefixes for a batch with these origins."""
        new = [origin for origin in origins if (target, origin) not in self._prefixes]
        if new:
            has_changed = self._learn_target(target)
            for origin in new:
                for names, name in zip(self._names_of(target), origin, strict=True):
                    if isinstance(name, str):
                        has_changed |= names.learn(name)
            if has_changed or len(self._prefixes) + len(new) > _MAX_CACHED:
                self._prefixes.clear()
        for origin in origins:
            if (target, origin) not in self._prefixes:
                self._prefixes[target, origin] = self._build(target, origin)
        return {origin: self._prefixes[target, origin] for origin in origins}

    def _learn_target(self, target: Target) -> bool:
        has_changed = self._groups.learn(target.resource_group)
        has_changed |= self._kinds.learn(target.kind)
        has_changed |= self._targets.learn(target.name)
        return has_changed

    def _names_of(self, target: Target) -> _OriginNames:
        if target not in self._origins and len(self._origins) >= _MAX_CACHED:
            del self._origins[next(iter(self._origins))]
        return self._origins.setdefault(target, (PrefixNames(), PrefixNames(), PrefixNames()))

    def _build(self, target: Target, origin: LineOrigin) -> Prefix:
        pods, containers, streams = self._names_of(target)
        names = []
        if self._groups.several:
            names.append(target.resource_group)
        if self._targets.several:
            names.append(target.name if self._kinds.several else target.id)
        for occurred, name in ((pods, origin.pod), (containers, origin.container)):
            if occurred.several:
                names.append(occurred.short(name) if isinstance(name, str) else "-")
        label = visible(" ".join(names))
        if not label and not (self._in_color and streams.several):
            return Prefix("", 0)
        gap = " " if label else ""
        columns = len(f"{label}{gap}{_BAR} ")
        if not self._in_color:
            return Prefix(f"{label}{gap}{_BAR} ", columns)
        bar = painted(_BAR, STDERR_COLOR) if origin.stream == "stderr" else dimmed(_BAR)
        if label:
            name = origin.pod if isinstance(origin.pod, str) else target.name
            label = painted(label, pod_color(name))
        return Prefix(f"{label}{gap}{bar} ", columns)
