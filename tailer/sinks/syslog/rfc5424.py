"""RFC 5424 messages: `<PRI>1 TIME HOST APP PROCID MSGID [aicore@… id="…" …] MSG`. Pure.

The structured data has these parameters in this order, without missing ones: `id` (stable,
see `fields.stable_ids`), `timestamp` (complete, as received), `resource_group`, `kind`,
`target`, `scenario`, `pod`, `container`, `stream`; and for a text that is too long
`truncated` (how many bytes of the escaped text were removed) or `part` ("2/3"). Each part
has its own id, `….2`: otherwise a receiver that drops duplicates would keep one part only.

No message is longer than `max_bytes`, however long names are: the parameters share the room
that the header and `_MIN_TEXT_BYTES` leave, in their order. A parameter without room is
left out.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tailer.config.settings import ControlCharacters, SyslogSection
from tailer.model import Batch, Target, Text
from tailer.sinks.lines import message_text
from tailer.sinks.syslog.escaping import Escaper, cut_position, max_parts, split
from tailer.sinks.syslog.fields import (
    NILVALUE,
    HeaderTemplates,
    MessageLimits,
    MessageOrigin,
    OriginCache,
    stable_ids,
    utc_timestamp,
    utc_timestamps_of_page,
)
from tailer.sinks.syslog.severity import Severity, priorities

_MIN_TEXT_BYTES: Final = 64  # reserved for the text before names get any room
_MAX_TIMESTAMP_CHARACTERS: Final = 40  # a time with nanoseconds and an offset has 35
_NAMES: Final = (*("resource_group", "kind", "target", "scenario"), *("pod", "container", "stream"))
_QUOTED: Final = str.maketrans({'"': r"\"", "\\": r"\\", "]": r"\]"})  # RFC 5424, 6.3.3
_BYTE_ORDER_MARK: Final = "\ufeff"
_MAX_LINE_BYTES: Final = len(  # what differs from line to line of an origin, at its longest
    '<191>1 2024-09-18T16:06:50.914532Z0123456789abcdef-18446744073709551616-99999.9999999"'
    f' timestamp="{"-" * _MAX_TIMESTAMP_CHARACTERS}" part="9999999/9999999"] BOM'
)


class _Frame(NamedTuple):
    """What the messages of one origin share: around priority, time and id."""

    priority: str | None  # None where each line has its own
    header: str  # up to the id
    parameters: str  # after the timestamp


class Rfc5424Formatter:
    def __init__(
        self, section: SyslogSection, limits: MessageLimits, scenario_of: Callable[[Target], str]
    ) -> None:
        self._max_bytes = limits.max_bytes
        self._scenario_of = scenario_of
        self._header = HeaderTemplates(section, max_bytes=limits.max_bytes)
        self._severity = Severity(section)
        self._priorities = tuple(f"{priority}1 " for priority in priorities(section.facility))
        mode = section.control_characters
        self._escaper = Escaper(mode, may_hold_newlines=limits.may_hold_newlines)
        value_mode: ControlCharacters = "octal" if mode == "octal" else "escape"
        self._value_escaper = Escaper(value_mode, may_hold_newlines=False)
        self._sd_id = f"aicore@{section.enterprise_id}"
        self._end = f"] {_BYTE_ORDER_MARK}" if section.byte_order_mark else "] "
        self._is_split = section.oversize == "split"
        self._frames = OriginCache(self._frame)

    def __call__(self, batch: Batch) -> list[bytes]:
        frames = self._frames.of_entries(batch, self._scenario_of(batch.target))
        texts = self._escaper.escape_all([message_text(entry.msg) for entry in batch.entries])
        end, max_bytes = self._end, self._max_bytes
        messages = []
        for entry, id_, (time, timestamp), (shared, header, parameters), text in zip(
            batch.entries, stable_ids(batch), self._times(batch), frames, texts, strict=True
        ):
            priority = shared or self._priorities[self._severity.of_entry(entry)]
            message = f"{priority}{time}{header}{id_}{timestamp}{parameters}{end}{text}".encode()
            if len(message) <= max_bytes:
                messages.append(message)
            else:
                opening = f"{priority}{time}{header}{id_}"
                messages.extend(self._shortened(opening, f"{timestamp}{parameters}", text.encode()))
        return messages

    def _times(self, batch: Batch) -> Iterable[tuple[str, str]]:
        """For each line its time, and what follows the id: a quote and the parameter timestamp."""
        timestamps = [entry.timestamp for entry in batch.entries]
        converted = utc_timestamps_of_page(timestamps)
        if converted is not None:
            return zip(converted, [f'" timestamp="{each}"' for each in timestamps], strict=True)
        return [
            (utc_timestamp(timestamp, time_ns), f'"{self._timestamp_parameter(timestamp)}')
            for timestamp, time_ns in zip(timestamps, batch.times_ns, strict=True)
        ]

    def _frame(self, origin: MessageOrigin) -> _Frame:
        fields = origin.fields
        names = " ".join([name or NILVALUE for name in self._header.fill(fields)])
        header = f' {names} [{self._sd_id} id="'
        room = self._max_bytes - _MIN_TEXT_BYTES - _MAX_LINE_BYTES - len(header)
        values = {**fields, "target": origin.target.id}  # its kind is a parameter of its own
        parameters = ""
        for name in _NAMES:
            value = values.get(name)
            if value is None or len(value) > room:
                continue
            parameter = f' {name}="{self._quoted(value)}"'
            if len(parameter.encode()) <= room:
                room -= len(parameter.encode())
                parameters += parameter
        severity = self._severity.of_stream(origin.stream)
        return _Frame(None if severity is None else self._priorities[severity], header, parameters)

    def _timestamp_parameter(self, timestamp: Text) -> str:
        """As received, unless it is too long for a time."""
        if not isinstance(timestamp, str) or len(timestamp) > _MAX_TIMESTAMP_CHARACTERS:
            return ""
        value = self._quoted(timestamp)
        if len(value.encode()) > _MAX_TIMESTAMP_CHARACTERS:
            return ""
        return f' timestamp="{value}"'

    def _quoted(self, text: str) -> str:
        return self._value_escaper.escape(text).translate(_QUOTED)

    def _shortened(self, opening: str, parameters: str, text: bytes) -> list[bytes]:
        """A message that is too long, truncated or split."""
        room = self._max_bytes - len(f"{opening}{parameters}{self._end}".encode())
        if not self._is_split:
            end = cut_position(text, room - len(f' truncated="{len(text)}"'))
            head = f'{opening}{parameters} truncated="{len(text) - end}"{self._end}'
            return [head.encode() + text[:end]]
        most = max_parts(text)
        parts = split(text, room - len(f'.{most} part="{most}/{most}"'))
        heads = (
            f'{opening}.{number}{parameters} part="{number}/{len(parts)}"{self._end}'
            for number in range(1, len(parts) + 1)
        )
        return [head.encode() + part for head, part in zip(heads, parts, strict=True)]
