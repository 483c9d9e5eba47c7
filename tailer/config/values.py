"""Values of single keys: msgspec checks types, ranges and patterns, a parser the rest. Pure."""

import dataclasses
import re
import types
import warnings
from collections.abc import Callable
from contextlib import suppress
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from tailer.config.fields import parse_path, parse_template
from tailer.errors import ConfigError
from tailer.model import Kind
from tailer.text import parse_duration, parse_size

INTERNAL: Final = "internal"  # annotates a field that is not a key of the file
ONE_OR_MORE: Final = "one or more"  # annotates a tuple that may be written as a single value
REQUIRED: Final = dataclasses.MISSING  # the default of a key that has none

_LONGEST_SHOWN: Final = 60  # of a wrong value: enough to recognize it
_UNITS: Final = {
    r"(?<!_per)_s$": ("seconds", parse_duration, '"90s" or "1h30m"'),
    r"_bytes$": ("bytes", parse_size, '"64MiB" or "1GB"'),
}
_TARGET: Final = re.compile(rf"(?:({'|'.join(Kind)})s?/)?([A-Za-z0-9._-]{{1,100}})", re.ASCII)


def matching(pattern: str, description: str = "") -> msgspec.Meta:
    """Text that matches the whole pattern (ASCII only)."""
    description = description or f"one of {pattern.replace('|', ', ')}"
    return msgspec.Meta(pattern=rf"(?as)\A(?:{pattern})\Z", description=description)


def number(least: float, most: float, *, zero: str = "") -> msgspec.Meta:
    """`zero` is what 0 means, where it is accepted below the least value."""
    return msgspec.Meta(ge=least, le=most, extra={"zero": zero})


class Key:
    """A key of the file; `hint` is the type of its field, annotated with a Meta or a parser."""

    def __init__(self, name: str, hint: Any, default: object) -> None:
        self.name, self.default = name, default
        self._type, notes = unwrapped(hint)
        self.one_or_more, self.is_list = ONE_OR_MORE in notes, get_origin(self._type) is tuple
        if self.is_list:
            self._type, notes = unwrapped(get_args(self._type)[0])
        self._meta = next((note for note in notes if isinstance(note, msgspec.Meta)), None)
        self._parse = next((note for note in notes if callable(note)), None)
        self._zero = ((self._meta and self._meta.extra) or {}).get("zero")
        self._unit = next((unit for end, unit in _UNITS.items() if re.search(end, name)), None)

    def read(self, value: object, *, is_variable: bool = False) -> Any:
        """The value as its type; a variable is text. Raises: ConfigError, with the remedy."""
        if not self.is_list:
            return self._read_one(value, strict=not is_variable)
        if isinstance(value, str) and is_variable:
            separator = "\n" if self._parse is regular_expression else ","
            value = [part.strip() for part in value.split(separator) if part.strip()]
        if self.one_or_more:
            if value == []:
                raise ConfigError("the list is empty", hint="write at least one value")
            value = value if isinstance(value, list) else [value]
        if not isinstance(value, list):
            hint = f"write [{shown(value)}]" if isinstance(value, str) else ""
            raise ConfigError(f"must be a list, not {shown(value)}", hint=hint)
        return tuple(self._read_one(each, strict=not is_variable) for each in value)

    def _read_one(self, value: object, *, strict: bool) -> Any:
        if isinstance(value, str) and self._parse:
            return self._parse(value)
        if isinstance(value, str) and self._unit:
            value = value if (parsed := self._unit[1](value)) is None else parsed
        if self._zero and str(value) in {"0", "0.0"}:
            return self._type(0)
        try:
            return msgspec.convert(value, Annotated[self._type, self._meta], strict=strict)
        except msgspec.ValidationError as error:
            hint = ""
            with suppress(ConfigError):
                if strict and isinstance(value, str):
                    self._read_one(value, strict=False)
                    hint = f"write {value} without quotes"
            sentence = f"must be {self.expected()}, not {shown(value)}"
            raise ConfigError(sentence, hint=hint) from error

    def expected(self) -> str:
        """`a number of seconds from 0.1 to 3600, or text such as "90s" or "1h30m"`."""
        meta = self._meta
        if meta is None:
            words = get_args(self._type) or self._type  # of a Literal, or of an enum
            return "true or false" if self._type is bool else f"one of {', '.join(words)}"
        if meta.description is not None:
            return meta.description
        text = "a whole number" if self._type is int else "a number"
        text += f" of {self._unit[0]}" if self._unit else ""
        text += f" from {meta.ge:_.16g} to {meta.le:_.16g}"
        text += f", or 0 ({self._zero})" if self._zero else ""
        return text + (f", or text such as {self._unit[2]}" if self._unit else "")


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type itself without `| None` and Annotated, and all annotations."""
    notes: tuple[Any, ...] = ()
    while get_origin(hint) in {Annotated, Union, types.UnionType}:
        notes += getattr(hint, "__metadata__", ())
        hint = get_args(hint)[0]
    return hint, notes


def shown(value: object) -> str:
    """A value as in the file: short, and without the content of lists and tables."""
    match value:
        case str() if len(value) > _LONGEST_SHOWN:
            return dumps(f"{value[:_LONGEST_SHOWN]}…", ensure_ascii=False)
        case str() | bool():
            return dumps(value, ensure_ascii=False)
        case int() if abs(value) > 1 << 64:
            return "a large number"
        case int() | float():
            return f"{value:.16g}"
        case list() | dict():
            return "a list" if isinstance(value, list) else "a table"
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
    except (re.error, OverflowError, RecursionError) as error:
        escape = "put a backslash before a character that is meant literally"
        hint = escape if isinstance(error, re.error) else "use several smaller ones"
        sentence = f"{shown(text)} is not a regular expression: {error}"
        raise ConfigError(sentence, hint=hint) from error


def file_path(text: str) -> str:
    path = absolute_path(text)
    if ".." in path.parts:
        raise ConfigError(f"{shown(text)} contains ..", hint="write the path without it")
    if Path(parse_path(text).base) == Path("/"):
        raise ConfigError(
            f"{shown(text)} has no directory before its first field",
            hint="begin it with a directory for logs, as in /var/log/aicore/{id}.log",
        )
    return text


def template(known: tuple[str, ...], example: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not parse_template(text, known):
            raise ConfigError("the template is empty", hint=f"an example is {example}")
        return text

    return parse
