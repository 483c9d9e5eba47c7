"""Which keys there are: read off the section classes, so that nothing can be forgotten. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from tailer.config.readers import Reader, choice
from tailer.config.settings import (
    SINK_KINDS,
    AicoreSection,
    DaemonSection,
    PollSection,
    SinkSection,
    SpoolSection,
    StatusSection,
    Watch,
)

REQUIRED: Final = object()  # stands where a default would


@dataclass(frozen=True, slots=True)
class Key:
    reader: Reader
    default: object


def keys_of(section: type[Any]) -> Mapping[str, Key]:
    """The fields with a reader, in order."""
    hints = get_type_hints(section, include_extras=True)
    return {
        one.name: Key(
            hints[one.name].__metadata__[0],
            REQUIRED if one.default is dataclasses.MISSING else one.default,
        )
        for one in dataclasses.fields(section)
        if hasattr(hints[one.name], "__metadata__")
    }


KIND: Final = "kind"
_KIND_KEYS: Final = {KIND: Key(choice(*SINK_KINDS), REQUIRED)}
_SINK_KEYS: Final = {
    name: dataclasses.replace(key, default=None) if name == "name" else key  # left out: the kind
    for name, key in keys_of(SinkSection).items()
}
SINK_KEYS: Final = {
    kind: {**_KIND_KEYS, **keys_of(section), **_SINK_KEYS} for kind, section in SINK_KINDS.items()
}
ANY_SINK_KEYS: Final = {  # as long as the kind is not known, nothing else is required
    name: key if name == KIND else dataclasses.replace(key, default=None)
    for keys in SINK_KEYS.values()
    for name, key in keys.items()
}

TABLES: Final[Mapping[str, type[Any]]] = {
    "aicore": AicoreSection,
    "poll": PollSection,
    "spool": SpoolSection,
    "status": StatusSection,
    "daemon": DaemonSection,
}
TABLE_KEYS: Final = {name: keys_of(section) for name, section in TABLES.items()}
ARRAY_KEYS: Final = {"watch": keys_of(Watch), "sink": ANY_SINK_KEYS}
SECTIONS: Final = {**TABLE_KEYS, **ARRAY_KEYS}


def header(section: str) -> str:
    """As it is written in the file."""
    return f"[[{section}]]" if section in ARRAY_KEYS else f"[{section}]"
