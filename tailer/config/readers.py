"""From a value as written to a value as meant, or a sentence that says what would be right. Pure.

A value is what TOML made of it. In an environment variable everything is text, so each
reader also says what TOML value a text stands for.
"""

import json
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_LONGEST_SHOWN = 60  # of a wrong value: enough to find it, too little to flood a terminal
_NUMBER_AND_UNIT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*[A-Za-z]*\s*", re.ASCII)
_SAID_YES = frozenset({"true", "yes", "on", "1"})
_SAID_NO = frozenset({"false", "no", "off", "0"})


class WrongValueError(Exception):
    """`what is wrong; what would be right`."""


class Reader(Protocol):
    def read(self, value: object) -> Any:
        """The value that is meant. Raises: WrongValueError."""

    def from_text(self, text: str) -> object:
        """What `text`, from an environment variable, would be in TOML."""


def shown(value: object) -> str:
    """A wrong value as its writer knows it: short, and nothing of what is inside."""
    match value:
        case str():
            short = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…"
            return json.dumps(short, ensure_ascii=False)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:.12g}" if isinstance(value, float) else str(value)[:_LONGEST_SHOWN]
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """From `low` to `high`, both included, each with why not beyond. 0 may mean `zero`."""

    low: float
    why_low: str
    high: float
    why_high: str
    whole: bool = False
    zero: str = ""

    def read(self, value: object) -> float:
        noun = "a whole number" if self.whole else "a number"
        wanted = int if self.whole else (int, float)
        is_number = isinstance(value, wanted) and not isinstance(value, bool)
        if not is_number or value != value:  # noqa: PLR0124 - only nan is not itself
            raise WrongValueError(f"{shown(value)} is not {noun}; {self._rewritten(value)}")
        assert isinstance(value, int | float)
        if self.zero and value == 0:
            return value if self.whole else 0.0
        if value < self.low:
            zero = f", or 0 for {self.zero}" if self.zero else ""
            raise WrongValueError(
                f"{shown(value)} is too small; at least {_figure(self.low)}{zero}: {self.why_low}"
            )
        if value > self.high:
            raise WrongValueError(
                f"{shown(value)} is too large; at most {_figure(self.high)}: {self.why_high}"
            )
        return value if self.whole else float(value)

    def from_text(self, text: str) -> object:
        try:
            return int(text) if self.whole else float(text)
        except ValueError:
            return text

    def _rewritten(self, value: object) -> str:
        if isinstance(value, float) and self.whole and math.isfinite(value):
            return f"write {int(value)}"
        match = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return f"write one from {_figure(self.low)} to {_figure(self.high)}"
        return f"write {match[1]}, without quotes or unit: the unit is in the key's name"


def _figure(value: float) -> str:
    return f"{round(value):_}" if value == round(value) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Switch:
    def read(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        meant = "true" if word in _SAID_YES else "false" if word in _SAID_NO else "true or false"
        raise WrongValueError(f"{shown(value)} is neither true nor false; write {meant}")

    def from_text(self, text: str) -> object:
        return {"true": True, "false": False}.get(text.strip().lower(), text)


@dataclass(frozen=True, slots=True)
class Text:
    """`check` raises WrongValueError, or gives back the text that is meant."""

    check: Callable[[str], Any]
    for_example: str = ""

    def read(self, value: object) -> Any:
        if isinstance(value, str):
            return self.check(value)
        remedy = "write a text in quotes"
        if self.for_example:
            remedy = f"write {self.for_example}"
        elif isinstance(value, int | float):
            remedy = f'write "{shown(value)}", with quotes'
        raise WrongValueError(f"{shown(value)} is not a text; {remedy}")

    def from_text(self, text: str) -> object:
        return text


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of texts. In a variable they stand apart by `separator`."""

    one: Text
    separator: str = ","

    def read(self, value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            raise WrongValueError(f"{shown(value)} is not a list; write [{shown(value)}]")
        if not isinstance(value, list):
            raise WrongValueError(f'{shown(value)} is not a list; write texts, as in ["…", "…"]')
        return tuple(self.one.read(item) for item in value)

    def from_text(self, text: str) -> object:
        return [part.strip() for part in text.split(self.separator) if part.strip()]


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """A text, or a list of at least one. In a variable they stand apart by `separator`."""

    one: Text
    separator: str = ","

    def read(self, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            return (self.one.read(value),)
        if not value:
            raise WrongValueError("the list is empty; write at least one")
        return tuple(self.one.read(item) for item in value)

    def from_text(self, text: str) -> object:
        several = ListOf(self.one, self.separator)
        return several.from_text(text) if self.separator in text else text


def choice(*words: str) -> Text:
    """One of `words`, exactly."""
    by_small_letters = {word.lower(): word for word in words}

    def check(text: str) -> str:
        if text in words:
            return text
        if text.lower() in by_small_letters:
            meant = by_small_letters[text.lower()]
            raise WrongValueError(f"{shown(text)} is not known; write {shown(meant)}")
        raise WrongValueError(f"{shown(text)} is not known; one of {', '.join(words)}")

    return Text(check)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise WrongValueError(f"{shown(text)} is no name; leave the key out for any")
    return text


def _compiled(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():  # such as "possible nested set": not for our stderr
            warnings.simplefilter("ignore")
            return re.compile(text)
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise WrongValueError(
            f"{shown(text)} is not a regular expression: {error.msg}{place}; "
            "put a backslash before a character that is meant literally"
        ) from error
    except (OverflowError, RecursionError) as error:
        raise WrongValueError(
            f"{shown(text)} is too large a regular expression; use several smaller ones"
        ) from error


def _absolute(text: str) -> Path:
    path = Path(text)
    if "\0" in text:
        raise WrongValueError("the path has a NUL in it; no path may")
    if not path.is_absolute():
        raise WrongValueError(
            f"{shown(text)} is not absolute; begin it with /, or it would be another file "
            "whenever tailer is started elsewhere"
        )
    return path


PATTERNS = ListOf(Text(_compiled), separator="\n")  # expressions hold commas and spaces
ONE_OR_MORE_PATTERNS = OneOrMore(Text(_compiled), separator="\n")
ONE_OR_MORE_NAMES = OneOrMore(Text(_not_empty))
PATH = Text(_absolute)
