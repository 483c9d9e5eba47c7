"""All that is wrong, each in one line that names its place, in the order of the file. Pure."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tailer.config.environment import variable_for
from tailer.config.schema import ARRAY_KEYS, header
from tailer.config.statements import Lines, Place
from tailer.errors import ConfigError


@dataclass(slots=True)
class Complaints:
    """`document` gives the names of sinks; `variables` the values that came from outside."""

    name: str
    lines: Lines
    document: Mapping[str, Any]
    variables: Mapping[Place, str]
    _found: set[tuple[float, str]] = field(default_factory=set)
    _settled: list[Place] = field(default_factory=list)

    def settle(self, place: Place, sentence: str) -> None:
        """All that is to be said about this place and what is in it, whatever follows."""
        self.add(place, sentence)
        self._settled.append(place)

    def add(self, place: Place, sentence: str) -> None:
        """About the value at `place`, or about what should be in it."""
        if any(place[: len(settled)] == settled for settled in self._settled):
            return
        variable = self.variables.get(place) or self._variable_to_set(place)
        if variable:
            self.add_about_variable(variable, sentence)
            return
        line = self.lines.of(place)
        label = self._label(place)
        at = f"{self.name}:{line} {label}" if label else f"{self.name}:{line}"
        self._found.add((line, f"{at}: {sentence}"))

    def add_about_variable(self, variable: str, sentence: str) -> None:
        self._found.add((math.inf, f"{variable}: {sentence}"))

    def raise_if_any(self) -> None:
        """Raises: ConfigError, with all of them."""
        if self._found:
            raise ConfigError("\n".join(text for _, text in sorted(self._found)))

    def title(self, section: str, number: int) -> str:
        """`[[sink]] 2 "audit"`: counted from 1, with its name if it has one."""
        elements = self.document.get(section)
        element = elements[number] if isinstance(elements, list) else None
        name = element.get("name") if isinstance(element, dict) else None
        named = f' "{name}"' if isinstance(name, str) and name.isprintable() else ""
        return f"{header(section)} {number + 1}{named}"

    def _variable_to_set(self, place: Place) -> str:
        """For what is wrong with a watch or sink that the file has nothing of."""
        if place[:2] in self.lines.by_place:
            return ""
        match place:
            case (str(section), int(number), *rest) if section in ARRAY_KEYS:
                key = str(rest[0]) if rest else ""
                return variable_for(section, key, number).rstrip("_")
            case _:
                return ""

    def _label(self, place: Place) -> str:
        match place:
            case (str(section), int(number), *rest) if section in ARRAY_KEYS:
                title = self.title(section, number)
            case (str(section), *rest):
                title = self._as_written(section, is_table=bool(rest))
            case _:
                return ""
        key = next((step for step in rest if isinstance(step, str)), "")
        return f"{title} {_word(key)}".strip()

    def _as_written(self, section: str, *, is_table: bool) -> str:
        match self.document.get(section):
            case dict():
                return f"[{_word(section)}]"
            case [dict(), *_]:
                return f"[[{_word(section)}]]"
            case _:
                return header(section) if is_table else _word(section)


def _word(name: str) -> str:
    return name if name.isprintable() else json.dumps(name)
