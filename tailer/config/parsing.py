"""From the text of the file and the environment to a Config, or to all that is wrong. Pure."""

from collections.abc import Mapping
from typing import Any

from tailer.config.complaints import Complaints
from tailer.config.contradictions import (
    check_poll,
    check_presence,
    check_sinks,
    check_watches,
    sink_name,
)
from tailer.config.environment import lay_over, read_environment
from tailer.config.schema import (
    ANY_SINK_KEYS,
    ARRAY_KEYS,
    KIND,
    SINK_KEYS,
    TABLE_KEYS,
    TABLES,
    Key,
    keys_of,
)
from tailer.config.secrets import A_KEY_ITSELF, IN_FILE, find_secrets, line_of_service_key
from tailer.config.settings import SINK_KINDS, Config, SinkSection, Watch
from tailer.config.statements import locate, parse_toml
from tailer.config.syntax import explain
from tailer.config.tables import known_sections, read_table
from tailer.errors import ConfigError


def parse_config(text: str, *, name: str, environ: Mapping[str, str]) -> Config:
    """`name` is the file's, for messages; the variables of `environ` win over the file.

    Raises:
        ConfigError: With every mistake, a line for each. Only a text that is not TOML
            has but one, because nothing after it can be told.
    """
    text = text.removeprefix("\ufeff")  # what some editors begin a file with
    try:
        document = parse_toml(text)
    except (ValueError, RecursionError) as error:
        raise _not_toml(text, error, name=name) from error
    overlay = read_environment(environ)
    lay_over(document, overlay)
    complaints = Complaints(name, locate(text), document, overlay.variables)
    for variable, sentence in overlay.complaints.items():
        complaints.add_about_variable(variable, sentence)
    for place, sentence in find_secrets(document):
        complaints.settle(place, sentence)
    return _read(document, complaints)


def _not_toml(text: str, error: Exception, *, name: str) -> ConfigError:
    line, sentence = explain(text, error)
    complaints = [f"{name}:{line}: not TOML: {sentence}"]
    pasted = line_of_service_key(text)
    if pasted is not None:
        complaints.append(f"{name}:{pasted}: {A_KEY_ITSELF}; {IN_FILE}")
    return ConfigError("\n".join(complaints))


def _read(document: dict[str, Any], complaints: Complaints) -> Config:
    sections = known_sections(document, complaints)
    written = {name: sections.get(name, {}) for name in TABLE_KEYS}
    tables = {
        name: read_table(written[name], keys, (name,), complaints)
        for name, keys in TABLE_KEYS.items()
    }
    watches = [
        (read_table(watch, ARRAY_KEYS["watch"], ("watch", number), complaints), watch)
        for number, watch in enumerate(sections.get("watch", []))
    ]
    sinks = [
        (read_table(sink, _keys_for(sink), ("sink", number), complaints), sink)
        for number, sink in enumerate(sections.get("sink", []))
    ]
    if len(sections) == len(document):  # else the one that seems absent may be misspelled
        check_presence(document, complaints)
    check_poll(tables["poll"], written["poll"], complaints)
    check_watches(watches, complaints)
    check_sinks(sinks, complaints)
    complaints.raise_if_any()
    built = {name: section(**tables[name]) for name, section in TABLES.items()}
    return Config(
        **{**built, "poll": built["poll"].settings},
        watches=tuple(Watch(**right) for right, _ in watches),
        sinks=tuple(_sink(right) for right, _ in sinks),
    )


def _keys_for(sink: Mapping[str, Any]) -> Mapping[str, Key]:
    kind = sink.get(KIND)
    return SINK_KEYS.get(kind, ANY_SINK_KEYS) if isinstance(kind, str) else ANY_SINK_KEYS


def _sink(right: Mapping[str, Any]) -> SinkSection:
    """What its kind has goes into a section of its own, the rest is what every sink has."""
    section = SINK_KINDS[right[KIND]]
    own = {name: value for name, value in right.items() if name in keys_of(section)}
    common = {name: value for name, value in right.items() if name not in {KIND, *own}}
    return SinkSection(**{**common, "name": sink_name(right)}, to=section(**own))
