"""Which file a line belongs in: a path with fields, each value made one safe component. Pure.

Ids, pods and containers are other people's text. Whatever they say, a path has as many
components as its template, none of them is `.`, `..` or hidden, and none is the name of a
closed file of another one.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from tailer.config.fields import Field, Template, parse_path
from tailer.model import Entry, Target, Text
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
