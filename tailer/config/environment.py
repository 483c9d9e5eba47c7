"""Keys as environment variables: TAILER_POLL__INTERVAL_S, TAILER_SINK__1__PATH. Pure.

A variable wins over the file. Watches and sinks are counted from 1; the number after the last
one in the file adds an element. Lists are separated by commas, regular expressions by newlines.
A name without a double underscore belongs to a flag, such as TAILER_SINCE, unless it is the
name of a key with an underscore missing.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from tailer.config.mistakes import Mistakes
from tailer.config.schema import ARRAYS, SECTIONS, header, variable_for
from tailer.config.toml_index import Place

_NAME: Final = re.compile(r"TAILER_+(.+?)_+(?:(\d{1,4})_+)?(.+)", re.ASCII | re.DOTALL)


def lay_over(document: dict[str, Any], environ: Mapping[str, str], mistakes: Mistakes) -> None:
    """Put the values of variables, which are text, into `document`."""
    found = [(_NAME.fullmatch(variable.upper()), variable) for variable in environ]
    names = [
        (int(name[2] or 1), name[1].lower(), name[3].lower(), variable)
        for name, variable in found
        if name is not None
    ]
    for number, section, key, variable in sorted(names):
        meant = variable_for(section, key, max(number, 1) - 1)
        if key in SECTIONS.get(section, {}) and variable != meant:
            mistakes.add_variable(variable, f"there is no such variable; did you mean {meant}?")
        elif "__" in variable:
            place = (section, number - 1, key) if section in ARRAYS else (section, key)
            table = _table_for(place, document, mistakes, variable)
            if isinstance(table, dict):  # else wrong in the file, and reported there
                table[key] = environ[variable]
                mistakes.variables[place] = variable


def _table_for(place: Place, document: dict[str, Any], mistakes: Mistakes, variable: str) -> object:
    """The table of the key at `place`. A missing one is added, and its mistakes name `variable`."""
    section, number = str(place[0]), place[1]
    if not isinstance(number, int):
        if section not in document:
            mistakes.variables[section,] = variable
        return document.setdefault(section, {})
    elements = document.setdefault(section, [])
    if not isinstance(elements, list):
        return None
    if number > len(elements):
        following = variable_for(section, str(place[-1]), len(elements))
        sentence = f"only {len(elements)} {header(section)} come before it; use {following}"
        mistakes.add_variable(variable, sentence)
        return None
    if number == len(elements):
        elements.append({})
        mistakes.variables[section, number] = variable_for(section, "", number).rstrip("_")
    return elements[number]
