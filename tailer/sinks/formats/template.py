"""A line format of the user's own: `--template '{pod:30} {msg}'`.

The syntax is that of `tailer.config.fields`.
"""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Final

from tailer.config.fields import LINE_FIELDS, Field, parse_template
from tailer.errors import ConfigError
from tailer.model import Batch, Entry, Target, Text
from tailer.sinks.formats.times import WallTime
from tailer.sinks.lines import message_text
from tailer.text import encode, visible


def _or_dash(text: Text) -> str:
    return text if isinstance(text, str) else "-"


_Field = Callable[[Target, Entry], str]

_OF_A_LINE: Final[Mapping[str, _Field]] = {
    "timestamp": lambda _, entry: _or_dash(entry.timestamp),  # as received
    "resource_group": lambda target, _: target.resource_group,
    "kind": lambda target, _: target.kind,
    "id": lambda target, _: target.id,
    "target": lambda target, _: target.name,
    "pod": lambda _, entry: _or_dash(entry.pod),
    "container": lambda _, entry: _or_dash(entry.container),
    "stream": lambda _, entry: _or_dash(entry.stream),
    "msg": lambda _, entry: message_text(entry.msg),
}
_TIME = "time"  # in the chosen time zone, to milliseconds
FIELDS: Final = (_TIME, *_OF_A_LINE)


class TemplateFormatter:
    r"""Fills the template once a line. A name that a line has not is `-`, a message empty.

    `{{` and `}}` are braces; `\n`, `\t` and `\\` are what they are elsewhere. A newline
    follows by itself; one at the template's end is that one. On a terminal (`escape`)
    unsafe characters in values, newlines among them, are spelled out. The template
    itself is the user's own and is not touched.

    Raises:
        ConfigError: Braces that do not pair, or a field that is none.
    """

    def __init__(self, template: str, *, timezone: tzinfo | None, escape: bool) -> None:
        self._escape = escape
        self._wall_time = WallTime(timezone)
        self._pieces = _parsed(template)

    def __call__(self, batch: Batch) -> bytes:
        lines = [
            self._line(batch.target, entry, time_ns)
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
        ]
        return encode("".join(lines))

    def _line(self, target: Target, entry: Entry, time_ns: int) -> str:
        shown = []
        for piece in self._pieces:
            if isinstance(piece, str):
                shown.append(piece)
                continue
            name, width = piece
            value = self._wall_time(time_ns) if name == _TIME else _OF_A_LINE[name](target, entry)
            shown.append((visible(value) if self._escape else value).ljust(width))
        return "".join([*shown, "\n"])


def _parsed(template: str) -> list[str | Field]:
    try:
        pieces = list(parse_template(template, LINE_FIELDS))
    except ConfigError as error:
        raise ConfigError(f"--template {template!r}: {error.message}", hint=error.hint) from error
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].removesuffix("\n")  # one newline follows anyway
    return pieces
