"""Values of single keys: msgspec checks types, ranges and patterns; a Check the rest. Pure."""

import re
import types
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from json import dumps
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from tailer.config.fields import parse_path, parse_template
from tailer.errors import ConfigError
from tailer.model import Kind
from tailer.text import parse_duration, parse_size

_Note = TypeVar("_Note")

INTERNAL: Final = "internal"  # annotates a field that is not a key of the file
ONE_OR_MORE: Final = "one or more"  # annotates a tuple that may be written as a single value
REQUIRED: Final = object()  # stands for the default of a key that has none

_LONGEST_SHOWN: Final = 60  # of a wrong value: enough to recognize it
_UNITS: Final = {
    "seconds": (re.compile(r"(?<!_per)_s$"), parse_duration, '"90s" or "1h30m"'),
    "bytes": (re.compile(r"_bytes$"), parse_size, '"64MiB" or "1GB"'),
}
_TARGET: Final = re.compile(rf"(?:({'|'.join(Kind)})s?/)?([A-Za-z0-9._-]{{1,100}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Check:
    """`parse` returns the value of a text or raises ConfigError; `expected` describes the text.

    `separator` stands between the values of a list in an environment variable.
    """

    parse: Callable[[str], Any]
    expected: str
    separator: str = ","


@dataclass(frozen=True, slots=True)
class Zero:
    """0 is accepted below the least value, and means `meaning`."""

    meaning: str


def matching(pattern: str, description: str) -> msgspec.Meta:
    """Text that matches the whole pattern (ASCII only)."""
    return msgspec.Meta(pattern=rf"(?as)\A(?:{pattern})\Z", description=description)


def one_of(words: Iterable[str]) -> msgspec.Meta:
    return matching("|".join(words), f"one of {', '.join(words)}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file. `hint` is its annotated type; its name ends in its unit, if any."""

    name: str
    hint: Any
    default: object

    def read(self, value: object, *, is_variable: bool = False) -> Any:
        """The value as its type; everything in a variable is text.

        Raises:
            ConfigError: What is wrong with the value, and what would be right.
        """
        return self._read(self.hint, value, strict=not is_variable)

    def expected(self) -> str:
        """`a number of seconds from 0.1 to 3600, or text such as "90s" or "1h30m"`."""
        return self._expected(self.hint)

    def _read(self, hint: Any, value: object, *, strict: bool) -> Any:
        base, notes = unwrapped(hint)
        check = _find(notes, Check)
        if get_origin(base) is tuple:
            item = get_args(base)[0]
            values = self._list(item, value, one_or_more=ONE_OR_MORE in notes, strict=strict)
            return tuple(self._read(item, each, strict=strict) for each in values)
        if check is not None and isinstance(value, str):
            return check.parse(value)
        for suffix, parse, _ in _UNITS.values():
            if isinstance(value, str) and suffix.search(self.name):
                number: float | None = parse(value)
                value = value if number is None else number
        if _find(notes, Zero) and str(value) in {"0", "0.0"}:
            return base(0)
        typed = Annotated[base, _find(notes, msgspec.Meta)] if check is None else bytes
        try:
            return msgspec.convert(value, typed, strict=strict)
        except msgspec.ValidationError as error:
            remedy = ""
            with suppress(msgspec.ValidationError):
                if strict and isinstance(value, str):
                    msgspec.convert(value, typed, strict=False)
                    remedy = f"write {value} without quotes"
            sentence = f"must be {self._expected(hint)}, not {shown(value)}"
            raise ConfigError(sentence, hint=remedy) from error

    def _list(self, item: Any, value: object, *, one_or_more: bool, strict: bool) -> list[object]:
        if isinstance(value, str) and not strict:
            check = _find(unwrapped(item)[1], Check)
            parts = value.split(check.separator if check else ",")
            value = [part.strip() for part in parts if part.strip()]
        if one_or_more and value == []:
            raise ConfigError("the list is empty", hint="write at least one value")
        if not isinstance(value, list) and not one_or_more:
            hint = f"write [{shown(value)}]" if isinstance(value, str) else ""
            raise ConfigError(f"must be a list, not {shown(value)}", hint=hint)
        return value if isinstance(value, list) else [value]

    def _expected(self, hint: Any) -> str:
        base, notes = unwrapped(hint)
        meta, zero, check = _find(notes, msgspec.Meta), _find(notes, Zero), _find(notes, Check)
        if get_origin(base) is tuple:
            one = self._expected(get_args(base)[0])
            more = f"{one}, or a list of them"
            return more if ONE_OR_MORE in notes else f"a list; each value: {one}"
        if check is not None:
            return check.expected
        if base is bool:
            return "true or false"
        if meta is None:
            is_enum = isinstance(base, type) and issubclass(base, Enum)
            return f"one of {', '.join(base if is_enum else get_args(base))}"
        if meta.description is not None:
            return meta.description
        text = "a whole number" if base is int else "a number"
        unit = next((unit for unit, (end, _, _) in _UNITS.items() if end.search(self.name)), None)
        text += f" of {unit}" if unit else ""
        text += f" from {_bound(meta.ge)} to {_bound(meta.le)}"
        text += f", or 0 ({zero.meaning})" if zero else ""
        return f"{text}, or text such as {_UNITS[unit][2]}" if unit else text


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type itself without `| None` and Annotated, and all annotations."""
    notes: tuple[Any, ...] = ()
    while get_origin(hint) in {Annotated, Union, types.UnionType}:
        notes += getattr(hint, "__metadata__", ())
        hint = get_args(hint)[0]
    return hint, notes


def _find(notes: tuple[Any, ...], kind: type[_Note]) -> _Note | None:
    return next((note for note in notes if isinstance(note, kind)), None)


def _bound(number: float | None) -> str:
    assert number is not None
    return format(int(number) if number == int(number) else number, "_")


def shown(value: object) -> str:
    """A value as in the file: short, and without the content of lists and tables."""
    match value:
        case str() if len(value) > _LONGEST_SHOWN:
            return dumps(value[:_LONGEST_SHOWN] + "…", ensure_ascii=False)
        case str() | bool():
            return dumps(value, ensure_ascii=False)
        case int() if abs(value) < 1 << 64:
            return str(value)
        case int() | float():
            return f"{value:.12g}" if isinstance(value, float) else "a large number"
        case list() | dict():
            return "a list" if isinstance(value, list) else "a table"
        case _:
            return "a date or time"


def target(text: str) -> str:
    """With its kind in the singular: `deployment/ID`, `execution/ID` or `ID`."""
    found = _TARGET.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"{shown(text)} is not a target",
            hint="write deployment/ID, execution/ID or ID, with letters, digits, '.', '_' and '-'",
        )
    return f"{found[1]}/{found[2]}" if found[1] else found[2]


def absolute_path(text: str) -> Path:
    if "\0" in text:
        raise ConfigError("the path contains NUL", hint="remove it")
    if not text.startswith("/"):
        raise ConfigError(f"{shown(text)} is not an absolute path", hint="begin it with /")
    return Path(text)


def regular_expression(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():  # such as "possible nested set"
            warnings.simplefilter("ignore")
            return re.compile(text)
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise ConfigError(
            f"{shown(text)} is not a regular expression: {error.msg}{place}",
            hint="put a backslash before a character that is meant literally",
        ) from error
    except (OverflowError, RecursionError) as error:
        raise ConfigError(
            f"the regular expression {shown(text)} is too large", hint="use several smaller ones"
        ) from error


def file_path(text: str) -> str:
    path = absolute_path(text)
    if ".." in path.parts:
        raise ConfigError(f"{shown(text)} contains ..", hint="write the path without it")
    if PurePosixPath(parse_path(text).base) == PurePosixPath("/"):
        raise ConfigError(
            f"{shown(text)} has no directory before its first field",
            hint="begin it with a directory for logs, as in /var/log/aicore/{id}.log",
        )
    return text


def template(known: tuple[str, ...], example: str) -> Check:
    def parse(text: str) -> str:
        if not parse_template(text, known):
            raise ConfigError("the template is empty", hint=f"an example is {example}")
        return text

    return Check(parse, "text with fields")
