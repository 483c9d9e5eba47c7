"""Path template, safe components, routing of lines.

Which file a line belongs in: a path with fields, each value made one safe component. Pure.

Ids, pods and containers are other people's text. Whatever they say, a path has as many
components as its template, none of them is `.`, `..` or hidden, and none is the name of a
closed file of another one.

A batch cut into the parts that belong in different files. Pure.

A line must not mint files without end: pods, containers and dates are other people's
text. So a target may begin MOST_NEW_FILES a day; lines that would begin one more go to
its file for `other` instead.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from tailer.config.fields import Field, Template, parse_path
from tailer.model import Batch, Entry, Target, Text
from tailer.timestamp import NS_PER_S

OF_A_LINE: Final = ("pod", "container", "date")  # the others are the target's

_NONE = "_"  # for a line without a pod, say; no value looks like that
_NS_PER_DAY = 86_400 * NS_PER_S
_LONGEST_VALUE = 100
_LONGEST_STEM = 180  # 255 is a file system's limit, and a number and suffixes follow
_SAFE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST_VALUE - 1}}}", re.ASCII)
_UNSAFE = re.compile(r"^[^A-Za-z0-9]|[^A-Za-z0-9._-]", re.ASCII)
_HASHED = re.compile(r"_[0-9a-f]{16}\Z")
_NUMBERED = re.compile(r"\.[0-9]{6,}\Z", re.ASCII)


@lru_cache(maxsize=4096)
def safe_component(value: str) -> str:
    """`value` itself where that is safe; else what is safe of it, and a hash of all of it."""
    if not value:
        return _NONE
    if _SAFE.fullmatch(value) and not _HASHED.search(value):
        return value
    return _hashed(_UNSAFE.sub("_", value)[:_LONGEST_VALUE], value)


def _hashed(shown: str, whole: str) -> str:
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{shown}_{digest[:16]}"


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
    except OverflowError:
        return (date.max if number > 0 else date.min).isoformat()


def day_of(time_ns: int) -> str:
    """In UTC."""
    return _day(time_ns // _NS_PER_DAY)


def text_of(text: Text) -> str:
    return text if isinstance(text, str) else ""


class PathTemplate:
    """`base` is the folder before the first field: every path is relative to it.

    `text` is how it was written.

    Raises:
        ConfigError: A field that is none, a lone brace, or no usable file name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.base, self._components, self._extension = parse_path(text)
        self.fields = frozenset(
            piece.name for part in self._components for piece in part if isinstance(piece, Field)
        )

    @property
    def is_per_line(self) -> bool:
        """Whether lines of one target may belong in different files."""
        return not self.fields.isdisjoint(OF_A_LINE)

    def names(self, entry: Entry, time_ns: int) -> tuple[str, str, str]:
        """The line's own values, of OF_A_LINE; empty where the template does not ask."""
        return (
            text_of(entry.pod) if "pod" in self.fields else "",
            text_of(entry.container) if "container" in self.fields else "",
            day_of(time_ns) if "date" in self.fields else "",
        )

    def path(self, target: Target, names: tuple[str, str, str]) -> str:
        """Relative to the base, with `/` between its parts."""
        values = {
            "resource_group": target.resource_group,
            "kind": str(target.kind),
            "id": target.id,
            **dict(zip(OF_A_LINE, names, strict=True)),
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
        if len(text.encode()) > _LONGEST_STEM:
            text = _hashed(text[: _LONGEST_STEM // 4], text)
        return text


MOST_NEW_FILES = 1000  # well above the pods that a deployment goes through in a day
_OTHER = ("other", "other", "other")


class NewFiles:
    """How many files each target has begun on this day, UTC."""

    def __init__(self) -> None:
        self._day = ""
        self._begun: Counter[Target] = Counter()

    def left(self, target: Target, *, now_ns: int) -> int:
        today = day_of(now_ns)
        if today != self._day:
            self._day = today
            self._begun.clear()
        return MOST_NEW_FILES - self._begun[target]

    def note(self, target: Target, count: int) -> None:
        self._begun[target] += count


def routed(
    batch: Batch, template: PathTemplate, *, exists: Callable[[str], bool], may_begin: int
) -> dict[str, Batch]:
    """The part of each path, in the order of the batch; `may_begin` files not yet there."""
    if not batch.entries:
        return {}
    if not template.is_per_line:
        return {template.path(batch.target, ("", "", "")): batch}
    parts: dict[str, list[int]] = {}
    for names, indices in _by_names(batch, template).items():
        path = template.path(batch.target, names)
        if path not in parts and not exists(path):
            may_begin -= 1
            if may_begin < 0:
                path = template.path(batch.target, _OTHER)
        parts.setdefault(path, []).extend(indices)
    return {path: _part(batch, sorted(indices)) for path, indices in parts.items()}


def _by_names(batch: Batch, template: PathTemplate) -> dict[tuple[str, str, str], list[int]]:
    found: dict[tuple[str, str, str], list[int]] = {}
    for index, (entry, time_ns) in enumerate(zip(batch.entries, batch.times_ns, strict=True)):
        found.setdefault(template.names(entry, time_ns), []).append(index)
    return found


def _part(batch: Batch, indices: list[int]) -> Batch:
    if len(indices) == len(batch.entries):
        return batch
    return replace(
        batch,
        entries=tuple(batch.entries[index] for index in indices),
        times_ns=tuple(batch.times_ns[index] for index in indices),
    )
