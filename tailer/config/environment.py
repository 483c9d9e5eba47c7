"""Every key as a variable: TAILER_POLL__INTERVAL_S, TAILER_SINK__1__PATH. Pure.

Only a name with a double underscore is configuration; TAILER_SINCE and its like are flags
of other commands. Watches and sinks are counted from 1, as in messages; the number after
the last one of the file adds one. A variable wins over the file. Lists are separated by
commas, regular expressions, which hold commas, by newlines.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tailer.config.schema import ARRAY_KEYS, SECTIONS, Key, header
from tailer.config.secrets import find_secrets
from tailer.config.statements import Place

_CONFIGURATION: Final = re.compile(r"TAILER_.*__.*", re.DOTALL)
_ELEMENT: Final = re.compile(r"TAILER_([A-Z]+)__(\d{1,4})__([A-Z_]+)", re.ASCII)


def variable_for(section: str, key: str, number: int = 0) -> str:
    """The name of the variable that sets this key; `number` counts from 0."""
    middle = f"__{number + 1}" if section in ARRAY_KEYS else ""
    return f"TAILER_{section}{middle}__{key}".upper()


@dataclass(slots=True)
class Overlay:
    """What the variables say: values by place, and what is wrong with the others."""

    values: dict[Place, object] = field(default_factory=dict)
    variables: dict[Place, str] = field(default_factory=dict)
    complaints: dict[str, str] = field(default_factory=dict)


def read_environment(environ: Mapping[str, str]) -> Overlay:
    overlay = Overlay()
    for variable in _by_number(name for name in environ if _CONFIGURATION.fullmatch(name)):
        place = _place_of(variable)
        key_name = variable.rpartition("__")[2]
        for _, sentence in find_secrets(environ[variable], (key_name,)):
            overlay.complaints[variable] = sentence
        if variable in overlay.complaints:
            continue
        if place is None:
            overlay.complaints[variable] = _unknown(variable)
        else:
            reader = SECTIONS[str(place[0])][str(place[-1])].reader
            overlay.values[place] = reader.from_text(environ[variable])
            overlay.variables[place] = variable
    return overlay


def _by_number(variables: Iterator[str]) -> list[str]:
    """Elements in the order of their numbers, which is not that of their digits."""
    return sorted(variables, key=lambda name: [int(n) for n in re.findall(r"__(\d{1,4})__", name)])


def lay_over(document: dict[str, Any], overlay: Overlay) -> None:
    """Put the variables' values into `document`; what cannot be placed is complained about."""
    for place, value in overlay.values.items():
        section, key = str(place[0]), str(place[-1])
        match place:
            case (_, int(number), _):
                elements = document.setdefault(section, [])
                if not isinstance(elements, list):
                    continue  # wrong in the file, and said there
                if number == len(elements):
                    elements.append({})
                if number > len(elements):
                    overlay.complaints[overlay.variables[place]] = _out_of_turn(section, elements)
                    continue
                table = elements[number]
            case _:
                table = document.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = value


def _place_of(variable: str) -> Place | None:
    element = _ELEMENT.fullmatch(variable)
    if element is None:
        return _TABLE_VARIABLES.get(variable)
    section, key, number = element[1].lower(), element[3].lower(), int(element[2])
    if number == 0 or key not in ARRAY_KEYS.get(section, {}):
        return None
    return (section, number - 1, key)


def _variables(keys_by_section: Mapping[str, Mapping[str, Key]]) -> dict[str, Place]:
    return {
        variable_for(section, key): (section, key)
        for section, keys in keys_by_section.items()
        for key in keys
    }


_TABLE_VARIABLES: Final = _variables(
    {section: keys for section, keys in SECTIONS.items() if section not in ARRAY_KEYS}
)
_ALL_VARIABLES: Final = _variables(SECTIONS)


def _unknown(variable: str) -> str:
    number = re.search(r"__(\d{1,4})__", variable)
    if number is not None and int(number[1]) == 0:
        first = variable.replace(number[0], "__1__", 1)
        return f"they are counted from 1; the first is {first}"
    asked = variable.upper() if number is None else variable.upper().replace(number[0], "__1__", 1)
    section = asked.removeprefix("TAILER_").partition("__")[0].lower()
    siblings = [variable_for(section, key) for key in SECTIONS.get(section, {})]
    close = (
        difflib.get_close_matches(asked, siblings, n=1)
        if siblings
        else difflib.get_close_matches(asked, _ALL_VARIABLES, n=1, cutoff=0.8)
    )
    if close:
        meant = close[0] if number is None else close[0].replace("__1__", number[0], 1)
        return f"there is no such key; did you mean {meant}?"
    if section in SECTIONS:
        return f"there is no such key; {header(section)} has {', '.join(SECTIONS[section])}"
    return f"there is no such section; there are {', '.join(map(header, SECTIONS))}"


def _out_of_turn(section: str, elements: list[object]) -> str:
    count, following = len(elements), variable_for(section, "", len(elements)).rstrip("_")
    return f"there are {count} {header(section)} before it; the next is {following}"
