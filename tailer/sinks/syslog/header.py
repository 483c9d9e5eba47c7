"""The names at the head of a message, filled in from the templates. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from tailer.config.fields import HEADER_FIELDS, Template, parse_template
from tailer.config.settings import SyslogSection
from tailer.model import Target, Text

_NOT_PRINTABLE: Final = re.compile("[^\x21-\x7e]")  # RFC 5424, 6: PRINTUSASCII
_ROOMY_BYTES: Final = 1024  # from here on, names as long as RFC 5424 has them leave room


class Names(NamedTuple):
    hostname: str
    app_name: str
    procid: str
    msgid: str


_LONGEST: Final = (255, 48, 128, 32)  # RFC 5424, 6.2.4 to 6.2.7
_LONGEST_IN_A_SMALL_MESSAGE: Final = (63, 32, 24, 16)  # a host name is 63, as in RFC 1123


@dataclass(frozen=True, slots=True)
class Origin:
    """Where lines come from. `scenario` is empty where it is not known."""

    target: Target
    scenario: str
    pod: Text
    container: Text
    stream: Text

    @property
    def fields(self) -> Mapping[str, str]:
        """HEADER_FIELDS, without those that there are none of."""
        target = self.target
        fields: dict[str, Text] = {
            "resource_group": target.resource_group,
            "kind": str(target.kind),
            "id": target.id,
            "target": target.name,
            "scenario": self.scenario or None,
            "pod": self.pod,
            "container": self.container,
            "stream": self.stream,
        }
        return {name: text for name, text in fields.items() if isinstance(text, str)}


class Header:
    """Fills the four templates; empty for a name of which nothing is left."""

    def __init__(self, section: SyslogSection, *, max_bytes: int) -> None:
        names = (section.hostname, section.app_name, section.procid, section.msgid)
        self._templates = tuple(parse_template(name, HEADER_FIELDS) for name in names)
        self._longest = _LONGEST if max_bytes >= _ROOMY_BYTES else _LONGEST_IN_A_SMALL_MESSAGE

    def names(self, fields: Mapping[str, str]) -> Names:
        """Printable and no longer than allowed: what is not ASCII, or a space, is `_`."""
        return Names(
            *(
                _NOT_PRINTABLE.sub("_", _filled(template, fields, longest))
                for template, longest in zip(self._templates, self._longest, strict=True)
            )
        )


def _filled(template: Template, fields: Mapping[str, str], longest: int) -> str:
    return "".join(
        piece if isinstance(piece, str) else fields.get(piece.name, "")[:longest]
        for piece in template
    )[:longest]
