r"""A line format defined by the user: `--template '{pod:30} {msg}'`.

Syntax: see `tailer.config.fields`.
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


_TIME = "time"  # in the chosen time zone, to milliseconds
_VALUES: Final[Mapping[str, Callable[[Target, Entry], str]]] = {
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
FIELDS: Final = (_TIME, *_VALUES)


class TemplateFormatter:
    """Fills in the template for each line. A missing value is `-`, a missing message empty.

    A newline is added, unless the template ends with one. With `escape`, unsafe characters in
    values, including newlines, are escaped; the template itself is not, as it is the user's.

    Raises:
        ConfigError: The template is invalid.
    """

    def __init__(self, template: str, *, timezone: tzinfo | None, escape: bool) -> None:
        self._escape = escape
        self._wall_time = WallTime(timezone)
        try:
            self._pieces = list(parse_template(template, LINE_FIELDS))
        except ConfigError as error:
            raise ConfigError(
                f"--template {template!r}: {error.message}", hint=error.hint
            ) from error
        if self._pieces and isinstance(last := self._pieces[-1], str):
            self._pieces[-1] = last.removesuffix("\n")

    def __call__(self, batch: Batch) -> bytes:
        lines = [
            self._line(batch.target, entry, time_ns)
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
        ]
        return encode("".join(lines))

    def _line(self, target: Target, entry: Entry, time_ns: int) -> str:
        return "".join([*(self._text(one, target, entry, time_ns) for one in self._pieces), "\n"])

    def _text(self, piece: str | Field, target: Target, entry: Entry, time_ns: int) -> str:
        if isinstance(piece, str):
            return piece
        name, width = piece
        value = self._wall_time(time_ns) if name == _TIME else _VALUES[name](target, entry)
        return (visible(value) if self._escape else value).ljust(width)
