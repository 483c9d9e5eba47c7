"""On which line a key stands, which the TOML parser of the standard library does not say. Pure.

The parser itself is the scanner. From where a statement begins, lines are added until the
parser accepts them: a prefix of a statement never is one, because what goes on to the next
line is an open bracket or an open quote. So strings, comments, escapes and dotted keys are
read by the same code that reads the values.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: `("poll", "interval_s")`, `("sink", 0, "path")`."""

_MOST_ATTEMPTS = 500  # at one statement; each reads it from its beginning


@dataclass(frozen=True, slots=True)
class Lines:
    """Counted from 1. `unfinished` is where a statement begins that has no end."""

    by_place: Mapping[Place, int]
    unfinished: int | None = None

    def of(self, place: Place) -> int:
        """Of the key, else of what it is in, else the first."""
        while place and place not in self.by_place:
            place = place[:-1]
        return self.by_place.get(place, 1)


def parse_toml(text: str) -> dict[str, Any]:
    """Raises: ValueError, or RecursionError, where `text` is not TOML."""
    return tomllib.loads(text + "\n")  # or an error in the last line would have no number


def locate(text: str) -> Lines:
    """The lines of all keys and tables of `text`, as far as it is TOML."""
    by_place: dict[Place, int] = {}
    elements: dict[Place, int] = {}  # of the arrays of tables so far
    table: Place = ()
    for line, content in _statements(text):
        if content is None:
            return Lines(by_place, unfinished=line)
        statement, source = content
        if source.lstrip().startswith("["):
            table = _opened(statement, elements)
            for length in range(1, len(table) + 1):
                by_place.setdefault(table[:length], line)
        else:
            for place in _places(statement, table):
                by_place.setdefault(place, line)
    return Lines(by_place)


def _statements(text: str) -> Iterator[tuple[int, tuple[dict[str, Any], str] | None]]:
    """Each statement with its first line; None for what is none, and that is the last."""
    began, pending, attempts = 1, "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        pending += line + "\n"
        if _goes_on(line):
            continue
        attempts += 1
        if attempts > _MOST_ATTEMPTS:
            break
        try:
            statement = parse_toml(pending)
        except (ValueError, RecursionError):
            continue
        yield began, (statement, pending)
        began, pending, attempts = number + 1, "", 0
    if pending:
        yield began, None


def _goes_on(line: str) -> bool:
    """Surely in the middle of a list: spares long ones an attempt at each line."""
    return line.rstrip().endswith(",") and "#" not in line


def _opened(header: dict[str, Any], elements: dict[Place, int]) -> Place:
    """The table that `[a.b]` or `[[a.b]]` opens; an array's name means its newest element."""
    place: Place = ()
    inner: Any = header
    while isinstance(inner, dict) and inner:
        ((name, inner),) = inner.items()
        place = (*place, name)
        if isinstance(inner, list):
            elements[place] = elements.get(place, 0) + 1
        if place in elements:
            place = (*place, elements[place] - 1)
    return place


def _places(value: object, place: Place) -> Iterator[Place]:
    """All that is in `value`, which stands at `place`."""
    inner: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        inner = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    for step, part in inner:
        yield (*place, step)
        yield from _places(part, (*place, step))
