"""Find, read and validate the configuration: file and environment to Config."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tailer.config import rules, settings
from tailer.config.environment import lay_over
from tailer.config.fields import closest
from tailer.config.mistakes import SECRET_VALUE, Mistakes, find_secrets, line_of_service_key
from tailer.config.schema import ANY_SINK_KEYS, ARRAYS, KIND, SECTIONS, SINK_KEYS, header, keys_of
from tailer.config.settings import Config, PaceSettings, PollSettings, SinkSection
from tailer.config.toml_index import LineIndex, Place, explain, parse_toml
from tailer.config.values import REQUIRED, Key, shown
from tailer.errors import ConfigError

VARIABLE: Final = "TAILER_CONFIG"
USUAL_PATHS: Final = (Path("tailer.toml"), Path("/etc/tailer/config.toml"))

_EXAMPLES: Final = {
    KIND: 'kind = "file"',
    "path": 'path = "/var/log/aicore/{resource_group}/{kind}/{id}.log"',
    "url": 'url = "relp+tls://logs.example.com:2514"',
}


def find_config_path(
    given: Path | None, environ: Mapping[str, str], exists: Callable[[Path], bool]
) -> Path:
    """`given` by --config, else by the variable, else the first usual path that exists.

    Raises:
        ConfigError: No file exists. A file that is named is never replaced by a usual one.
    """
    named = environ.get(VARIABLE, "")
    if given or named:
        path = given or Path(named)
        if not exists(path):
            source = "--config" if given else f"${VARIABLE}"
            raise ConfigError(f"{source}: {path} does not exist", hint="name an existing file")
        return path
    for path in filter(exists, USUAL_PATHS):
        return path
    raise ConfigError(
        f"no configuration: --config and ${VARIABLE} are not set, and neither ./{USUAL_PATHS[0]} "
        f"nor {USUAL_PATHS[1]} exists",
        hint="`tailer config > tailer.toml` writes an example",
    )


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in the file, with the variables of `environ` laid over it.

    Raises:
        ConfigError: The file cannot be read, or it has mistakes (a line for each).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"the configuration {path} cannot be read: {reason}") from error
    return parse_config(text, name=str(path), environ=environ)


def parse_config(text: str, *, name: str, environ: Mapping[str, str]) -> Config:
    """`name` is the file's, for messages; the variables of `environ` win over the file.

    Raises:
        ConfigError: With a line for each mistake. Text that is not TOML has only one.
    """
    text = text.removeprefix("\ufeff")  # the byte order mark that some editors write
    try:
        document = parse_toml(text)
    except (ValueError, RecursionError) as error:
        line, sentence = explain(text, error)
        found = [f"{name}:{line}: not TOML: {sentence}"]
        if pasted := line_of_service_key(text):
            found.append(f"{name}:{pasted}: {SECRET_VALUE}")
        raise ConfigError("\n".join(found)) from error
    mistakes = Mistakes(name, LineIndex(text), document)
    lay_over(document, environ, mistakes)
    for place, sentence in find_secrets(document):
        mistakes.add_final(place, sentence)
    return _validated(document, mistakes)


def _validated(document: dict[str, Any], mistakes: Mistakes) -> Config:
    written = _known_sections(document, mistakes)
    tables = {
        name: _read_table(written.get(name, {}), (name,), mistakes)
        for name in SECTIONS
        if name not in ARRAYS
    }
    watches, sinks = (
        [
            (_read_table(table, (name, number), mistakes), table)
            for number, table in enumerate(written.get(name, []))
        ]
        for name in ARRAYS
    )
    if len(written) == len(document):  # else a missing section may be a misspelled one
        rules.check_presence(document, mistakes)
    rules.check_poll(tables["poll"], written.get("poll", {}), mistakes)
    rules.check_watches(watches, mistakes)
    rules.check_sinks(sinks, mistakes)
    mistakes.raise_if_any()
    return Config(
        aicore=settings.AicoreSection(**tables["aicore"]),
        watches=tuple(settings.Watch(**right) for right, _ in watches),
        poll=_poll_settings(**tables["poll"]),
        spool=settings.SpoolSection(**tables["spool"]),
        status=settings.StatusSection(**tables["status"]),
        daemon=settings.DaemonSection(**tables["daemon"]),
        sinks=tuple(_sink_section(right) for right, _ in sinks),
    )


def _poll_settings(**right: Any) -> PollSettings:
    pace, own = _split(right, PaceSettings)
    usual_s = PaceSettings().idle_interval_s  # grows with interval_s, unless it is given
    pace.setdefault("idle_interval_s", max(usual_s, pace.get("interval_s", usual_s)))
    drain_s = own.get("lateness_s", PollSettings().drain_s)
    return PollSettings(pace=PaceSettings(**pace), drain_s=drain_s, **own)


def _sink_section(right: Mapping[str, Any]) -> SinkSection:
    section = settings.SINK_KINDS[right[KIND]]
    own, common = _split(right, section)
    del common[KIND]
    return SinkSection(**{**common, "name": rules.sink_name(right)}, to=section(**own))


def _split(right: Mapping[str, Any], section: type[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of `section`, and all others."""
    own = {name: value for name, value in right.items() if name in keys_of(section)}
    return own, {name: value for name, value in right.items() if name not in own}


def _read_table(table: Mapping[str, Any], place: Place, mistakes: Mistakes) -> dict[str, Any]:
    """The values that are right; everything else is added to `mistakes`."""
    keys, kind = SECTIONS[str(place[0])], table.get(KIND)
    if place[0] == "sink":
        keys = SINK_KEYS.get(kind, ANY_SINK_KEYS) if isinstance(kind, str) else ANY_SINK_KEYS
    right: dict[str, Any] = {}
    for name, value in table.items():
        if name not in keys:
            mistakes.add((*place, name), _unknown_key(name, keys, str(place[0])))
            continue
        try:
            is_variable = (*place, name) in mistakes.variables
            right[name] = keys[name].read(value, is_variable=is_variable)
        except ConfigError as error:
            mistakes.add((*place, name), "; ".join(filter(None, (error.message, error.hint))))
    for name, key in keys.items():
        if key.default is REQUIRED and name not in table:
            mistakes.add((*place, name), f"is missing; an example is {_EXAMPLES[name]}")
    return right


def _known_sections(document: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    """The sections that exist and have the right brackets."""
    known: dict[str, Any] = {}
    for name, content in document.items():
        is_array = isinstance(content, list) and all(isinstance(each, dict) for each in content)
        if name not in SECTIONS:
            mistakes.add((name,), _unknown_section(name))
        elif is_array if name in ARRAYS else isinstance(content, dict):
            known[name] = content
        else:
            number = "above each of them" if name in ARRAYS else "once"
            mistakes.add((name,), f"has the wrong form; write {header(name)} {number}")
    return known


def _unknown_key(name: str, keys: Mapping[str, Key], section: str) -> str:
    kind = next((kind for kind, owned in SINK_KEYS.items() if name in owned), None)
    if section == "sink" and kind is not None:
        return f"belongs in a [[sink]] with kind = {shown(kind)}; remove it"
    home = next((header(other) for other in SECTIONS if name in SECTIONS[other]), None)
    remedy = closest(name, tuple(keys)) if home is None else f"it belongs in {home}"
    return f"there is no such key in this section; {remedy}"


def _unknown_section(name: str) -> str:
    home = next((header(section) for section, keys in SECTIONS.items() if name in keys), None)
    if home is not None:
        return f"the key is outside of its section; it belongs in {home}"
    return f"there is no such section; {closest(name, {one: header(one) for one in SECTIONS})}"
