"""The older format, for receivers that know no other: `<PRI>Mmm dd hh:mm:ss HOST TAG[PROCID]: MSG`.

It has no room for an id, a year, a time zone or parts of a second: nothing here can be
recognized when it comes twice. Pure. Where the text was too long it ends with
` [+1234 bytes]`, how many bytes of it were cut, or its parts begin with `(2/3) `.
"""

import re
from collections.abc import Callable
from datetime import tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Target, Text
from tailer.sinks.lines import message_text
from tailer.sinks.syslog.escaping import Spelling, cut, most_pieces, pieces
from tailer.sinks.syslog.fields import NILVALUE, Header, LocalStamps, MessageOrigin
from tailer.sinks.syslog.severity import Severity, priorities

_NOT_OF_A_TAG: Final = re.compile("[^A-Za-z0-9]")  # RFC 3164, 4.1.3: anything else ends it
_LONGEST_TAG: Final = 32
_NOT_OF_A_PROCID: Final = re.compile(r"[][:]")
# rsyslog takes the second word for a host only if it is of these and ends with a letter or
# digit; else it is the tag, and the tag belongs to the text.
_NOT_OF_A_HOST: Final = re.compile("[^A-Za-z0-9._-]")
_NO_HOST: Final = "unknown"
_NO_TAG: Final = "aicore"
_KEPT_ORIGINS: Final = 1024  # strangers name pods, so there is no end of them
_LONGEST_KEPT: Final = 1024  # characters of one's names


class _Frame(NamedTuple):
    severity: int | None
    names: str  # from the time to the text


class Rfc3164Formatter:
    def __init__(
        self,
        section: SyslogSection,
        *,
        max_bytes: int,
        may_hold_newlines: bool,
        scenario_of: Callable[[Target], str],
        timezone: tzinfo | None,
    ) -> None:
        self._max_bytes = max_bytes
        self._scenario_of = scenario_of
        self._header = Header(section, max_bytes=max_bytes)
        self._severity = Severity(section)
        self._priorities = priorities(section.facility)
        self._spelling = Spelling(section.control_characters, may_hold_newlines=may_hold_newlines)
        self._is_split = section.oversize == "split"
        self._stamps = LocalStamps(timezone)
        self._kept_frame = lru_cache(maxsize=_KEPT_ORIGINS)(self._new_frame)

    def __call__(self, batch: Batch) -> list[bytes]:
        target, scenario = batch.target, self._scenario_of(batch.target)
        texts = self._spelling.lines([message_text(entry.msg) for entry in batch.entries])
        frames: dict[tuple[Text, Text, Text], _Frame] = {}
        messages = []
        for entry, time_ns, text in zip(batch.entries, batch.times_ns, texts, strict=True):
            names = (entry.pod, entry.container, entry.stream)
            frame = frames.get(names)
            if frame is None:
                frame = frames[names] = self._frame(MessageOrigin(target, scenario, *names))
            severity = self._severity.of(entry) if frame.severity is None else frame.severity
            head = f"{self._priorities[severity]}{self._stamps(time_ns)}{frame.names}"
            message = f"{head}{text}".encode()
            if len(message) <= self._max_bytes:
                messages.append(message)
            else:
                messages.extend(self._fitted(head.encode(), text.encode()))
        return messages

    def _frame(self, origin: MessageOrigin) -> _Frame:
        """Kept for the next batch, unless a stranger's name is so long that it is not worth it."""
        names = (origin.pod, origin.container, origin.stream)
        if sum(len(name) for name in names if isinstance(name, str)) > _LONGEST_KEPT:
            return self._new_frame(origin)
        return self._kept_frame(origin)

    def _new_frame(self, origin: MessageOrigin) -> _Frame:
        names = self._header.names(origin.fields)
        host = _NOT_OF_A_HOST.sub("_", names.hostname).rstrip("._-") or _NO_HOST
        tag = _NOT_OF_A_TAG.sub("", names.app_name)[:_LONGEST_TAG] or _NO_TAG
        procid = _NOT_OF_A_PROCID.sub("_", names.procid)
        process = f"[{procid}]" if procid and procid != NILVALUE else ""
        severity = self._severity.of_stream(origin.stream)
        return _Frame(severity, f" {host} {tag}{process}: ")

    def _fitted(self, head: bytes, text: bytes) -> list[bytes]:
        """A message that is too long: its beginning, or all of it in parts."""
        room = self._max_bytes - len(head)
        if not self._is_split:
            kept = cut(text, room - len(f" [+{len(text)} bytes]"))
            return [b"%b%b [+%d bytes]" % (head, text[:kept], len(text) - kept)]
        most = most_pieces(text)
        parts = pieces(text, room - len(f"({most}/{most}) "))
        return [
            b"%b(%d/%d) %b" % (head, number, len(parts), part)
            for number, part in enumerate(parts, 1)
        ]
