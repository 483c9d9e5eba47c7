"""The keys of each section, read from the settings classes, and their variables. Pure."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Literal, get_type_hints

from tailer.config import settings
from tailer.config.values import INTERNAL, REQUIRED, Key, unwrapped


def keys_of(*sections: type[Any]) -> dict[str, Key]:
    """All fields that are keys of the file, in order."""
    keys: dict[str, Key] = {}
    for section in sections:
        hints = get_type_hints(section, include_extras=True)
        for one in dataclasses.fields(section):
            if INTERNAL not in unwrapped(hints[one.name])[1]:
                default = REQUIRED if one.default is dataclasses.MISSING else one.default
                keys[one.name] = Key(one.name, hints[one.name], default)
    return keys


SINK_KEYS: Final = {
    kind: {
        "kind": Key("kind", Literal[tuple(settings.SINK_KINDS)], REQUIRED),
        **keys_of(section, settings.SinkSection),
        "name": Key("name", settings.SinkName, None),  # the default is the kind
    }
    for kind, section in settings.SINK_KINDS.items()
}
SECTIONS: Final[Mapping[str, Mapping[str, Key]]] = {
    "aicore": keys_of(settings.AicoreSection),
    "poll": keys_of(settings.PaceSettings, settings.PollSettings),
    "spool": keys_of(settings.SpoolSection),
    "status": keys_of(settings.StatusSection),
    "daemon": keys_of(settings.DaemonSection),
    "watch": keys_of(settings.Watch),
    "sink": {  # as long as the kind is unknown, no other key is required
        name: Key(name, key.hint, REQUIRED if name == "kind" else None)
        for keys in SINK_KEYS.values()
        for name, key in keys.items()
    }
    | {"format": Key("format", Literal[settings.Format, settings.SyslogFormat], None)},
}
ARRAYS: Final = ("watch", "sink")  # the sections that may be repeated


def header(section: str) -> str:
    """The header of the section in the file."""
    return f"[[{section}]]" if section in ARRAYS else f"[{section}]"


def variable_for(section: str, key: str, number: int = 0) -> str:
    """The environment variable of the key; `number` is the element's, counted from 0."""
    middle = f"__{number + 1}" if section in ARRAYS else ""
    return f"TAILER_{section}{middle}__{key}".upper()
