"""Find, read and validate the configuration: file and environment to Config."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from tailer.config import rules, settings
from tailer.config.fields import closest
from tailer.config.mistakes import SECRET_VALUE, SERVICE_KEY, Mistakes
from tailer.config.settings import ARRAYS, SECTIONS, SINK_KEYS, SINK_KINDS, header, keys_of
from tailer.config.toml_index import LineIndex, Place, explain, parse_toml
from tailer.config.values import REQUIRED, shown
from tailer.errors import ConfigError

_Section = TypeVar("_Section")

VARIABLE: Final = "TAILER_CONFIG"
USUAL_PATHS: Final = (Path("tailer.toml"), Path("/etc/tailer/config.toml"))
_VARIABLE_OF_KEY: Final = re.compile(r"TAILER_+(.+?)_+(?:(\d{1,4})_+)?(.+)", re.ASCII | re.DOTALL)
_EXAMPLES: Final = {
    "kind": 'kind = "file"',
    "path": 'path = "/var/log/aicore/{resource_group}/{kind}/{id}.log"',
    "url": 'url = "relp+tls://logs.example.com:2514"',
}


def find_config_path(
    given: Path | None, environ: Mapping[str, str], exists: Callable[[Path], bool]
) -> Path:
    """`given` by --config, else by the variable, else the first usual path. Raises: ConfigError."""
    named = given or environ.get(VARIABLE)
    for path in filter(exists, [Path(named)] if named else USUAL_PATHS):
        return path
    if named:
        source = "--config" if given else f"${VARIABLE}"
        raise ConfigError(f"{source}: {named} does not exist", hint="name an existing file")
    raise ConfigError(
        f"no configuration: --config and ${VARIABLE} are not set, and neither ./{USUAL_PATHS[0]} "
        f"nor {USUAL_PATHS[1]} exists",
        hint="`tailer config > tailer.toml` writes an example",
    )


def read_config(path: Path, environ: Mapping[str, str]) -> settings.Config:
    """Raises: ConfigError, if the file cannot be read, or with a line for each mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"the configuration {path} cannot be read: {reason}") from error
    return parse_config(text, name=str(path), environ=environ)


def parse_config(text: str, *, name: str, environ: Mapping[str, str]) -> settings.Config:
    """`environ` wins over the file `name`. Raises: ConfigError, with a line for each mistake."""
    text = text.removeprefix("\ufeff")  # the byte order mark that some editors write
    try:
        document = parse_toml(text)
    except (ValueError, RecursionError) as error:
        line, sentence = explain(text, error)
        found = [f"{name}:{line}: not TOML: {sentence}"]
        if pasted := SERVICE_KEY.search(text):
            line = text.count("\n", 0, pasted.start()) + 1
            found.append(f"{name}:{line}: {SECRET_VALUE}")
        raise ConfigError("\n".join(found)) from error
    mistakes = Mistakes(name, LineIndex(text), document)
    _lay_over(document, environ, mistakes)
    mistakes.add_secrets()
    return _validated(document, mistakes)


def _lay_over(document: dict[str, Any], environ: Mapping[str, str], mistakes: Mistakes) -> None:
    """Put the values of variables, such as TAILER_SINK__1__PATH, into `document`."""
    names = [
        (max(int(name[2] or 1) - 1, 0), name[1].lower(), name[3].lower(), variable)
        for variable in environ
        if (name := _VARIABLE_OF_KEY.fullmatch(variable.upper()))
    ]
    for number, section, key, variable in sorted(names):
        meant = settings.variable_for(section, key, number)
        if key in SECTIONS.get(section, {}) and variable != meant:
            mistakes.add_variable(variable, f"there is no such variable; did you mean {meant}?")
            continue
        if "__" not in variable:  # it belongs to a flag, as TAILER_SINCE does
            continue
        place: Place = (section, number, key) if section in ARRAYS else (section, key)
        if section not in document:
            document[section] = [] if section in ARRAYS else {}
            mistakes.variables[section,] = variable
        table = document[section]
        if isinstance(table, list) and section in ARRAYS:
            if number > len(table):
                following = settings.variable_for(section, key, len(table))
                sentence = f"only {len(table)} {header(section)} come before it; use {following}"
                mistakes.add_variable(variable, sentence)
                continue
            if number == len(table):
                table.append({})
                mistakes.variables[section, number] = variable
            table = table[number]
        if isinstance(table, dict):  # else wrong in the file, and reported there
            table[key] = environ[variable]
            mistakes.variables[place] = variable


def _validated(document: Mapping[str, Any], mistakes: Mistakes) -> settings.Config:
    for name in document.keys() - SECTIONS.keys():
        mistakes.add((name,), _unknown(name, SECTIONS))
    tables = {
        section: [
            (_read_table(table, (section, number), mistakes), table)
            for number, table in enumerate(_tables_of(section, document, mistakes))
        ]
        for section in SECTIONS
    }
    for place, sentence in rules.check(document, tables, mistakes.title):
        mistakes.add(place, sentence)
    mistakes.raise_if_any()
    one = {section: read[0][0] for section, read in tables.items() if section not in ARRAYS}
    return settings.Config(
        aicore=settings.AicoreSection(**one["aicore"]),
        watches=tuple(settings.Watch(**right) for right, _ in tables["watch"]),
        poll=_poll_settings(one["poll"]),
        spool=settings.SpoolSection(**one["spool"]),
        status=settings.StatusSection(**one["status"]),
        daemon=settings.DaemonSection(**one["daemon"]),
        sinks=tuple(
            _section(settings.SinkSection, right, to=_section(SINK_KINDS[right["kind"]], right))
            for right, _ in tables["sink"]
        ),
    )


def _poll_settings(right: Mapping[str, Any]) -> settings.PollSettings:
    pace, poll = _section(settings.PaceSettings, right), _section(settings.PollSettings, right)
    if "idle_interval_s" not in right:
        pace = replace(pace, idle_interval_s=max(pace.idle_interval_s, pace.interval_s))
    return replace(poll, pace=pace, drain_s=poll.lateness_s)


def _section(section: type[_Section], right: Mapping[str, Any], **more: object) -> _Section:
    """`right` may also have keys of other sections."""
    return section(**{name: right[name] for name in keys_of(section) if name in right}, **more)


def _tables_of(section: str, document: Mapping[str, Any], mistakes: Mistakes) -> list[Any]:
    """Every [[table]] of an array; the only [table] of another section, empty if missing."""
    is_array = section in ARRAYS
    tables = document.get(section, []) if is_array else [document.get(section, {})]
    if isinstance(tables, list) and all(isinstance(each, dict) for each in tables):
        return tables
    number = "above each of them" if is_array else "once"
    mistakes.add((section,), f"has the wrong form; write {header(section)} {number}")
    return [] if is_array else [{}]


def _read_table(table: Mapping[str, Any], place: Place, mistakes: Mistakes) -> dict[str, Any]:
    """The values that are right; everything else is added to `mistakes`."""
    section = str(place[0])
    place = place if section in ARRAYS else (section,)
    keys = SECTIONS[section]
    if section == "sink":
        keys = SINK_KEYS.get(str(table.get("kind")), keys)
    right: dict[str, Any] = {}
    for name, value in table.items():
        at = (*place, name)
        if name not in keys:
            mistakes.add(at, _unknown(name, keys, section))
            continue
        try:
            right[name] = keys[name].read(value, is_variable=at in mistakes.variables)
        except ConfigError as error:
            mistakes.add(at, "; ".join(filter(None, (error.message, error.hint))))
    for name in (name for name, key in keys.items() if key.default is REQUIRED):
        if name not in table and (name == "kind" or "kind" in right):
            mistakes.add((*place, name), f"is missing; an example is {_EXAMPLES[name]}")
    if section == "sink" and "name" not in table:
        right["name"] = right.get("kind")  # a number would change with the order in the file
    return right


def _unknown(name: str, known: Iterable[str], section: str = "") -> str:
    """What is wrong with a key or a section that does not exist, and what would be right."""
    home = next((header(other) for other in SECTIONS if name in SECTIONS[other]), None)
    if section == "sink" and name in SECTIONS["sink"]:
        kind = next(kind for kind, keys in SINK_KEYS.items() if name in keys)
        return f"belongs in a [[sink]] with kind = {shown(kind)}; remove it"
    if home and not section:
        return f"the key is outside of its section; it belongs in {home}"
    missing = "there is no such key in this section" if section else "there is no such section"
    remedy = f"it belongs in {home}" if home else closest(name, known, str if section else header)
    return f"{missing}; {remedy}"
