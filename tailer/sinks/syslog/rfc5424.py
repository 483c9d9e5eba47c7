"""The syslog protocol: `<PRI>1 TIME HOST APP PROCID MSGID [aicore@… id="…" …] MSG`. Pure.

The structured data has, in this order and without those that there are none of: `id`
(stable, see `identity`), `timestamp` (all of it, as received), `resource_group`, `kind`,
`target`, `scenario`, `pod`, `container`, `stream`; and of a text that was too long
`truncated` (how many bytes of it were cut, as it would have been sent) or `part`
("2/3"). Each part has an id of its own, `….2`, or a receiver that drops repeats would
keep only one.

No message is longer than `max_bytes`, whatever strangers call their pods: the parameters
get what the header and `_LEAST_TEXT` leave, in their order; one that does not fit is left out.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Target, Text
from tailer.sinks.lines import message_text
from tailer.sinks.syslog.escaping import Spelling, cut, most_pieces, pieces
from tailer.sinks.syslog.fields import (
    NILVALUE,
    Header,
    MessageOrigin,
    stable_ids,
    usual_stamps,
    utc_stamp,
)
from tailer.sinks.syslog.severity import Severity, priorities

_LEAST_TEXT: Final = 64  # bytes; names never take them from a message
_LONGEST_TIMESTAMP: Final = 40  # characters; a time with nanoseconds and an offset has 35
_KEPT_ORIGINS: Final = 1024  # strangers name pods, so there is no end of them
_LONGEST_KEPT: Final = 1024  # characters of one's names
_NAMES: Final = (*("resource_group", "kind", "target", "scenario"), *("pod", "container", "stream"))
_QUOTED: Final = str.maketrans({'"': r"\"", "\\": r"\\", "]": r"\]"})  # RFC 5424, 6.3.3
_BYTE_ORDER_MARK: Final = "\ufeff"
_MOST_PER_LINE: Final = len(  # what differs from line to line of an origin, at its longest
    '<191>1 2024-09-18T16:06:50.914532Z0123456789abcdef-18446744073709551616-99999.9999999"'
    f' timestamp="{"-" * _LONGEST_TIMESTAMP}" part="9999999/9999999"] BOM'
)


class _Frame(NamedTuple):
    """What the messages of one origin share: around priority, time and id."""

    priority: str | None  # None where each line has its own
    header: str  # up to the id
    parameters: str  # after the timestamp


class Rfc5424Formatter:
    def __init__(
        self,
        section: SyslogSection,
        *,
        max_bytes: int,
        may_hold_newlines: bool,
        scenario_of: Callable[[Target], str],
    ) -> None:
        self._max_bytes = max_bytes
        self._scenario_of = scenario_of
        self._header = Header(section, max_bytes=max_bytes)
        self._severity = Severity(section)
        self._priorities = tuple(f"{priority}1 " for priority in priorities(section.facility))
        self._spelling = Spelling(section.control_characters, may_hold_newlines=may_hold_newlines)
        in_octal = section.control_characters == "octal"
        self._of_values = Spelling("octal" if in_octal else "escape", may_hold_newlines=False)
        self._sd_id = f"aicore@{section.enterprise_id}"
        self._end = f"] {_BYTE_ORDER_MARK}" if section.byte_order_mark else "] "
        self._is_split = section.oversize == "split"
        self._kept_frame = lru_cache(maxsize=_KEPT_ORIGINS)(self._new_frame)

    def __call__(self, batch: Batch) -> list[bytes]:
        target, scenario = batch.target, self._scenario_of(batch.target)
        texts = self._spelling.lines([message_text(entry.msg) for entry in batch.entries])
        frames: dict[tuple[Text, Text, Text], _Frame] = {}
        end, max_bytes = self._end, self._max_bytes
        messages = []
        for entry, id_, (time, stamped), text in zip(
            batch.entries, stable_ids(batch), self._times(batch), texts, strict=True
        ):
            names = (entry.pod, entry.container, entry.stream)
            frame = frames.get(names)
            if frame is None:
                frame = frames[names] = self._frame(MessageOrigin(target, scenario, *names))
            priority, header, parameters = frame
            if priority is None:
                priority = self._priorities[self._severity.of(entry)]
            message = f"{priority}{time}{header}{id_}{stamped}{parameters}{end}{text}".encode()
            if len(message) <= max_bytes:
                messages.append(message)
            else:
                opening = f"{priority}{time}{header}{id_}"
                messages.extend(self._fitted(opening, f"{stamped}{parameters}", text.encode()))
        return messages

    def _times(self, batch: Batch) -> Iterable[tuple[str, str]]:
        """For every line its time, and what follows the id: a quote and the timestamp."""
        timestamps = [entry.timestamp for entry in batch.entries]
        usual = usual_stamps(timestamps)
        if usual is not None:
            return zip(usual, [f'" timestamp="{each}"' for each in timestamps], strict=True)
        return [
            (utc_stamp(timestamp, time_ns), f'"{self._stamped(timestamp)}')
            for timestamp, time_ns in zip(timestamps, batch.times_ns, strict=True)
        ]

    def _frame(self, origin: MessageOrigin) -> _Frame:
        """Kept for the next batch, unless a stranger's name is so long that it is not worth it."""
        names = (origin.pod, origin.container, origin.stream)
        if sum(len(name) for name in names if isinstance(name, str)) > _LONGEST_KEPT:
            return self._new_frame(origin)
        return self._kept_frame(origin)

    def _new_frame(self, origin: MessageOrigin) -> _Frame:
        fields = origin.fields
        names = " ".join([name or NILVALUE for name in self._header.names(fields)])
        header = f' {names} [{self._sd_id} id="'
        room = self._max_bytes - _LEAST_TEXT - _MOST_PER_LINE - len(header)
        values = {**fields, "target": origin.target.id}  # its kind is a parameter of its own
        parameters = ""
        for name in _NAMES:
            value = values.get(name)
            if value is None or len(value) > room:
                continue
            parameter = f' {name}="{self._value(value)}"'
            if len(parameter.encode()) <= room:
                room -= len(parameter.encode())
                parameters += parameter
        severity = self._severity.of_stream(origin.stream)
        return _Frame(None if severity is None else self._priorities[severity], header, parameters)

    def _stamped(self, timestamp: Text) -> str:
        """As received, if it can pass for a time at all."""
        if not isinstance(timestamp, str) or len(timestamp) > _LONGEST_TIMESTAMP:
            return ""
        value = self._value(timestamp)
        return f' timestamp="{value}"' if len(value.encode()) <= _LONGEST_TIMESTAMP else ""

    def _value(self, text: str) -> str:
        return self._of_values.line(text).translate(_QUOTED)

    def _fitted(self, opening: str, parameters: str, text: bytes) -> list[bytes]:
        """A message that is too long: its beginning, or all of it in parts."""
        room = self._max_bytes - len(f"{opening}{parameters}{self._end}".encode())
        if self._is_split:
            return self._parts(opening, parameters, text, room)
        kept = cut(text, room - len(f' truncated="{len(text)}"'))
        head = f'{opening}{parameters} truncated="{len(text) - kept}"{self._end}'
        return [head.encode() + text[:kept]]

    def _parts(self, opening: str, parameters: str, text: bytes, room: int) -> list[bytes]:
        most = most_pieces(text)
        parts = pieces(text, room - len(f'.{most} part="{most}/{most}"'))
        heads = (
            f'{opening}.{number}{parameters} part="{number}/{len(parts)}"{self._end}'
            for number in range(1, len(parts) + 1)
        )
        return [head.encode() + part for head, part in zip(heads, parts, strict=True)]
