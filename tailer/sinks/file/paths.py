"""Path template: the file of a line, with each value as one safe path component. Pure.

Ids, pods and containers are untrusted text. Laws, for all their values:
1. A path has as many components as its template. None is `.`, `..` or hidden.
2. No path is the name of a closed file of another path.
3. A target creates at most MAX_NEW_FILES a day. Lines that need one more file go to the
   target's file with the name `other` in place of pod, container and date.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from tailer.config.fields import Field, Template, parse_path
from tailer.model import Batch, Entry, Target, Text
from tailer.sinks.lines import part_of
from tailer.timestamp import NS_PER_S

_LINE_FIELDS: Final = ("pod", "container", "date")

MAX_NEW_FILES = 1000  # per day; far more pods than a deployment has in a day
_OTHER = ("other", "other", "other")
_NO_VALUE = "_"  # no safe value looks like that
_NS_PER_DAY = 86_400 * NS_PER_S
_MAX_VALUE = 100
_MAX_STEM = 180  # a file system's limit is 255, and a number and suffixes follow
_SAFE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_MAX_VALUE - 1}}}", re.ASCII)
_UNSAFE = re.compile(r"^[^A-Za-z0-9]|[^A-Za-z0-9._-]", re.ASCII)
_HASHED = re.compile(r"_[0-9a-f]{16}\Z")
_NUMBERED = re.compile(r"\.[0-9]{6,}\Z", re.ASCII)


@lru_cache(maxsize=4096)
def safe_component(value: str) -> str:
    """`value` if it is safe; else its safe characters, and a hash of the whole value."""
    if not value:
        return _NO_VALUE
    if _SAFE.fullmatch(value) and not _HASHED.search(value):
        return value
    return _hashed(_UNSAFE.sub("_", value)[:_MAX_VALUE], value)


def _hashed(safe: str, value: str) -> str:
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{safe}_{digest[:16]}"


def day_of(time_ns: int) -> str:
    """The date in UTC; the first or last possible date for a time out of range."""
    return _day(time_ns // _NS_PER_DAY)


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
    except OverflowError:
        return (date.max if number > 0 else date.min).isoformat()


class PathTemplate:
    """`base` is the directory before the first field: every path is relative to it.

    Raises:
        ConfigError: The template is invalid.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.base, self._components, self._extension = parse_path(text)
        self._fields = frozenset(
            piece.name for part in self._components for piece in part if isinstance(piece, Field)
        )

    @property
    def is_per_line(self) -> bool:
        """Whether lines of one target may have different paths."""
        return not self._fields.isdisjoint(_LINE_FIELDS)

    def names(self, entry: Entry, time_ns: int) -> tuple[str, str, str]:
        """The line's pod, container and date; empty where the template has no such field."""
        return (
            self._text("pod", entry.pod),
            self._text("container", entry.container),
            day_of(time_ns) if "date" in self._fields else "",
        )

    def _text(self, field: str, value: Text) -> str:
        return value if field in self._fields and isinstance(value, str) else ""

    def path(self, target: Target, names: tuple[str, str, str]) -> str:
        """Relative to the base, separated by `/`."""
        values = {
            "resource_group": target.resource_group,
            "kind": str(target.kind),
            "id": target.id,
            **dict(zip(_LINE_FIELDS, names, strict=True)),
        }
        *above, last = (self._component(part, values) for part in self._components)
        if _NUMBERED.search(last):
            last = _hashed(last, last)
        return "/".join([*above, f"{last}{self._extension}"])

    @staticmethod
    def _component(part: Template, values: Mapping[str, str]) -> str:
        text = "".join(
            safe_component(values[piece.name]) if isinstance(piece, Field) else piece
            for piece in part
        )
        if len(text.encode()) > _MAX_STEM:
            text = _hashed(text[: _MAX_STEM // 4], text)
        return text


class Router:
    """Splits batches by path, and counts the files that each target creates on a day (UTC)."""

    def __init__(self, template: PathTemplate, *, exists: Callable[[str], bool]) -> None:
        self._template = template
        self._exists = exists
        self._day = ""
        self._created: Counter[Target] = Counter()

    def route(
        self, batches: Sequence[Batch], *, now_ns: int
    ) -> tuple[list[tuple[str, Batch]], Counter[Target]]:
        """The parts with their paths, in order, and how many files each target creates."""
        today = day_of(now_ns)
        if today != self._day:
            self._day = today
            self._created.clear()
        created: Counter[Target] = Counter()
        usable: dict[str, bool] = {}
        parts: list[tuple[str, Batch]] = []
        for batch in batches:
            indices: dict[str, list[int]] = {}
            for names, some in self._by_names(batch).items():
                path = self._template.path(batch.target, names)
                if self._template.is_per_line:
                    path = self._limited(path, batch.target, usable, created)
                indices.setdefault(path, []).extend(some)
            parts += ((path, part_of(batch, sorted(some))) for path, some in indices.items())
        return parts, created

    def record(self, created: Counter[Target]) -> None:
        """Count the created files, after they are written."""
        self._created += created

    def _by_names(self, batch: Batch) -> dict[tuple[str, str, str], list[int]]:
        if not self._template.is_per_line and batch.entries:
            return {("", "", ""): list(range(len(batch.entries)))}
        found: dict[tuple[str, str, str], list[int]] = {}
        for index, (entry, time_ns) in enumerate(zip(batch.entries, batch.times_ns, strict=True)):
            found.setdefault(self._template.names(entry, time_ns), []).append(index)
        return found

    def _limited(
        self, path: str, target: Target, usable: dict[str, bool], created: Counter[Target]
    ) -> str:
        """`path`; the path for `other` if the target may not create it."""
        if path not in usable:
            usable[path] = self._exists(path)
        if not usable[path]:
            if self._created[target] + created[target] < MAX_NEW_FILES:
                created[target] += 1
            else:
                path = self._template.path(target, _OTHER)
            usable[path] = True
        return path
