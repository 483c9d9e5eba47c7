"""All mistakes of a configuration at once, each with its file, line, section and key. Pure."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tailer.config.settings import variable_for
from tailer.config.toml_index import LineIndex, Place
from tailer.errors import ConfigError

_SECRET_NAMES: Final = re.compile(
    "(client)?secret|password|passwd|passphrase|(access|refresh|bearer)?token|"
    "apikey|privatekey|servicekey|credentials"
)  # of keys without case and punctuation: client_secret, clientSecret, client-secret
SERVICE_KEY: Final = re.compile(r"[\"']client_?secret[\"']\s*:", re.IGNORECASE)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)-----")
_USERINFO: Final = re.compile(r"(?:.*,)?\s*[a-z][a-z0-9+.-]*://[^/@\s]*@", re.IGNORECASE)
_KEY_FILE: Final = (
    "store the service key in a file and set [aicore] service_key_file to its path, "
    "or use the AICORE_* variables"
)
SECRET_KEY: Final = f"secrets are not allowed here; {_KEY_FILE}"
SECRET_VALUE: Final = f"the value is a service key or a private key; {_KEY_FILE}"
USERINFO: Final = "the URL contains a user or password; remove everything from // to @"


@dataclass(slots=True)
class Mistakes:
    """Collects mistakes. `variables` has the variable of each value that is not from the file."""

    name: str
    lines: LineIndex
    document: Mapping[str, Any]
    variables: dict[Place, str] = field(default_factory=dict)
    _found: set[tuple[float, str]] = field(default_factory=set)
    _secrets: list[Place] = field(default_factory=list)

    def add_secrets(self) -> None:
        """Report the secrets. Nothing else is reported of their keys: sentences quote values."""
        for place, sentence in _secrets_in(self.document):
            self.add(place, sentence)
            self._secrets.append(_key_of(place))

    def add(self, place: Place, sentence: str) -> None:
        """Report the value at `place`, or that it is missing there."""
        key = _key_of(place)
        if key in self._secrets:
            return
        if key in self.variables:
            self.add_variable(self.variables[key], sentence)
        elif key[:2] in self.variables:  # a watch or sink that exists in variables only
            self.add_variable(variable_for(str(key[0]), str(key[2]), int(key[1])), sentence)
        else:
            line = self.lines.of(place)
            at = f"{self.name}:{line} {self._label(*key)}".rstrip()
            self._found.add((line, f"{at}: {sentence}"))

    def add_variable(self, variable: str, sentence: str) -> None:
        self._found.add((math.inf, f"{variable}: {sentence}"))

    def raise_if_any(self) -> None:
        """Raises: ConfigError, with a line for each mistake, in the order of the file."""
        if self._found:
            raise ConfigError("\n".join(text for _, text in sorted(self._found)))

    def title(self, section: str, number: int) -> str:
        """`[[sink]] 2 "audit"`: counted from 1, with its name if it has one."""
        match self.document[section][number]:
            case {"name": str(name)} if name.isprintable():
                return f'[[{section}]] {number + 1} "{name}"'
        return f"[[{section}]] {number + 1}"

    def _label(self, section: Any = "", *rest: Any) -> str:
        content = self.document.get(section)
        if isinstance(content, list):
            head = self.title(section, rest[0]) if rest else f"[[{section}]]"
            rest = rest[1:]
        else:
            head = f"[{section}]" if rest or isinstance(content, dict) else section
        label = " ".join((head, *map(str, rest)))
        return label if label.isprintable() else json.dumps(label)


def _key_of(place: Place) -> Place:
    """The place of the key that contains `place`."""
    return place[:3] if len(place) > 1 and isinstance(place[1], int) else place[:2]


def _secrets_in(value: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The places of secrets, each with a sentence that does not contain the secret."""
    name = re.sub(r"[^a-z0-9]", "", str(place[-1]).lower()) if place else ""
    match value:
        case _ if _SECRET_NAMES.fullmatch(name) and value != "":
            yield place, SECRET_KEY
        case dict() | list():
            for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
                yield from _secrets_in(inner, (*place, step))
        case str() if SERVICE_KEY.search(value) or _PEM.search(value):
            yield place, SECRET_VALUE
        case str() if _USERINFO.match(value):
            yield place, USERINFO
