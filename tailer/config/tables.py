"""One table of the file, key by key: what is meant, and a complaint for all that is not. Pure."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from tailer.config.complaints import Complaints
from tailer.config.readers import WrongValueError, shown
from tailer.config.schema import ARRAY_KEYS, REQUIRED, SECTIONS, SINK_KEYS, Key, header
from tailer.config.statements import Place

_FOR_EXAMPLE: Final = {
    "kind": 'kind = "file"',
    "path": 'path = "/var/log/aicore/{resource_group}/{kind}/{id}.log"',
    "url": 'url = "relp+tls://logs.example.com:2514"',
}
_PLURALS: Final = {f"{section}s": section for section in ARRAY_KEYS} | {"watches": "watch"}


def read_table(
    table: Mapping[str, Any], keys: Mapping[str, Key], place: Place, complaints: Complaints
) -> dict[str, Any]:
    """The values that are right, under their names."""
    right: dict[str, Any] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            complaints.add((*place, name), _unknown_key(name, keys, place))
            continue
        try:
            right[name] = key.reader.read(value)
        except WrongValueError as wrong:
            complaints.add((*place, name), str(wrong))
    for name, key in keys.items():
        if key.default is REQUIRED and name not in table:
            example = _FOR_EXAMPLE[name]
            complaints.add((*place, name), f"is missing; as in {example}")
    return right


def known_sections(document: Mapping[str, Any], complaints: Complaints) -> dict[str, Any]:
    """The sections that exist and have the right brackets."""
    known: dict[str, Any] = {}
    for name, content in document.items():
        if name not in SECTIONS:
            complaints.add((name,), _unknown_section(name, content))
        elif name in ARRAY_KEYS and not _is_tables(content):
            complaints.add((name,), f"{_brackets(content)}; write {header(name)}, once for each")
        elif name not in ARRAY_KEYS and not isinstance(content, dict):
            complaints.add((name,), f"{_brackets(content)}; write {header(name)}")
        else:
            known[name] = content
    return known


def _is_tables(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(element, dict) for element in content)


def _brackets(content: object) -> str:
    match content:
        case dict():
            return "a single pair of brackets"
        case list() if _is_tables(content):
            return "there is only one of it"
        case _:
            return f"{shown(content)} is not a section"


def _unknown_key(name: str, keys: Collection[str], place: Place) -> str:
    section = str(place[0])
    if section == "sink":
        owners = [kind for kind, its_keys in SINK_KEYS.items() if name in its_keys]
        if owners:
            return f"is not a key of this kind; only a sink of kind {owners[0]} has it"
    close = difflib.get_close_matches(name.lower(), keys, n=1)
    if close:
        return f"there is no such key; did you mean {close[0]}?"
    homes = [header(other) for other in SECTIONS if name in SECTIONS[other]]
    if homes:
        return f"there is no such key here; it belongs below {homes[0]}"
    return f"there is no such key; there are {', '.join(keys)}"


def _unknown_section(name: str, content: object) -> str:
    is_section = isinstance(content, dict) or (_is_tables(content) and content != [])
    if name in _PLURALS:
        return f"there is no such section; write {header(_PLURALS[name])}"
    close = difflib.get_close_matches(name.lower(), SECTIONS, n=1)
    if is_section and close:
        return f"there is no such section; did you mean {header(close[0])}?"
    homes = [header(section) for section, keys in SECTIONS.items() if name in keys]
    if homes:
        return f"a key outside of any section; it belongs below {homes[0]}"
    sections = ", ".join(map(header, SECTIONS))
    if not is_section:
        return f"a key outside of any section; the sections are {sections}"
    return f"there is no such section; there are {sections}"
