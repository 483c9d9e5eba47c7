"""Shortest distinguishing prefix; colors.

Colors for people. Pure.

Every color is legible on black and on white: contrast at least 3.8 against both.

What has to stand before a line, so that it can be told from the others. Pure.

As little as will do: a name that all lines share is left out, and so is what the names
of one kind have in common. Both can change with the next line, never back again.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from tailer.model import Target, Text
from tailer.text import encode, visible

POD_COLORS = (130, 100, 28, 30, 32, 27, 99, 133, 164, 162)  # of xterm's 256; no red
STDERR_COLOR = 160  # red

_RESET = "\x1b[0m"


def pod_color(name: str) -> int:
    """The same for the same name, on every machine and in every run."""
    return POD_COLORS[zlib.crc32(encode(name)) % len(POD_COLORS)]


def painted(text: str, color: int) -> str:
    return f"\x1b[38;5;{color}m{text}{_RESET}"


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


BAR = "│"
_MAX_REMEMBERED = 1000  # targets, and prefixes: a session may see any number of them


class PrefixNames:
    """What the names seen so far have in common, in constant space."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._head: list[str] | None = None  # parts that all begin with; None: none seen
        self._tail: list[str] = []
        self._fewest_parts = 0
        self.several = False
        for name in names:
            self.learn(name)

    def learn(self, name: str) -> bool:
        """Returns whether the name is news: `several` or what `short` answers has changed."""
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
        """`name` without the parts between hyphens that all share; distinct names stay so."""
        most = self._fewest_parts - 1  # something of every name must be left
        head = min(len(self._head or ()), most)
        tail = min(len(self._tail), most - head)
        parts = name.split("-")
        return "-".join(parts[head : len(parts) - tail])


def _common(some: list[str], others: list[str]) -> list[str]:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False))
    return [part for part, _ in pairs]


class LineOrigin(NamedTuple):
    """Where a line comes from, within its target."""

    pod: Text
    container: Text
    stream: Text


class Prefix(NamedTuple):
    """`columns` is what `text` takes on the screen, colors not counted."""

    text: str
    columns: int


@dataclass(slots=True)
class _Seen:
    """Of one target."""

    pods: PrefixNames = field(default_factory=PrefixNames)
    containers: PrefixNames = field(default_factory=PrefixNames)
    streams: PrefixNames = field(default_factory=PrefixNames)

    def learn(self, origin: LineOrigin) -> bool:
        news = False
        for names, name in zip((self.pods, self.containers, self.streams), origin, strict=True):
            if isinstance(name, str):
                news |= names.learn(name)
        return news


class Prefixes:
    """The prefix of every line: `group target pod container │ `, in the color of the pod.

    - The group and the target once there are several of each; the target's kind
      once there are both kinds. Never shortened: they are what people paste.
    - The pod and the container once this target has shown several; `-` where a line has none.
    - With color, the bar is red for stderr. It comes without names too, once this
      target has shown both streams.
    """

    def __init__(self, watched: Iterable[Target], *, in_color: bool) -> None:
        self._in_color = in_color
        self._groups = PrefixNames()
        self._targets = PrefixNames()
        self._kinds = PrefixNames()
        self._seen: dict[Target, _Seen] = {}
        self._prefixes: dict[tuple[Target, LineOrigin], Prefix] = {}
        for target in watched:
            self._learn_target(target)

    def of(self, target: Target, origins: set[LineOrigin]) -> dict[LineOrigin, Prefix]:
        """The prefixes for a batch, after everything in it has been taken note of."""
        unknown = [origin for origin in origins if (target, origin) not in self._prefixes]
        if unknown:
            news = self._learn_target(target)
            seen = self._seen_of(target)
            for origin in unknown:
                news |= seen.learn(origin)
            if news or len(self._prefixes) + len(unknown) > _MAX_REMEMBERED:
                self._prefixes.clear()
        for origin in origins:
            if (target, origin) not in self._prefixes:
                self._prefixes[target, origin] = self._build(target, origin)
        return {origin: self._prefixes[target, origin] for origin in origins}

    def _learn_target(self, target: Target) -> bool:
        news = self._groups.learn(target.resource_group)
        news |= self._kinds.learn(target.kind)
        news |= self._targets.learn(target.name)
        return news

    def _seen_of(self, target: Target) -> _Seen:
        if target not in self._seen and len(self._seen) >= _MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return self._seen.setdefault(target, _Seen())

    def _build(self, target: Target, origin: LineOrigin) -> Prefix:
        seen = self._seen_of(target)
        names = []
        if self._groups.several:
            names.append(target.resource_group)
        if self._targets.several:
            names.append(target.name if self._kinds.several else target.id)
        for known, name in ((seen.pods, origin.pod), (seen.containers, origin.container)):
            if known.several:
                names.append(known.short(name) if isinstance(name, str) else "-")
        label = visible(" ".join(names))
        if not label and not (self._in_color and seen.streams.several):
            return Prefix("", 0)
        gap = " " if label else ""
        columns = len(f"{label}{gap}{BAR} ")
        if not self._in_color:
            return Prefix(f"{label}{gap}{BAR} ", columns)
        bar = painted(BAR, STDERR_COLOR) if origin.stream == "stderr" else dimmed(BAR)
        if label:
            name = origin.pod if isinstance(origin.pod, str) else target.name
            label = painted(label, pod_color(name))
        return Prefix(f"{label}{gap}{bar} ", columns)
