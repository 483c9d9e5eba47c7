"""RFC 3164 messages, for old receivers: `<PRI>Mmm dd hh:mm:ss HOST TAG[PROCID]: MSG`. Pure.

The format has no id, year, time zone or fraction of a second, so a receiver cannot detect
duplicates. A truncated text ends with ` [+1234 bytes]`, the number of bytes removed; the
parts of a split text start with `(2/3) `.
"""

import re
from collections.abc import Callable
from datetime import tzinfo
from typing import Final, NamedTuple

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Target
from tailer.sinks.lines import message_text
from tailer.sinks.syslog.escaping import Escaper, cut_position, max_parts, split
from tailer.sinks.syslog.fields import (
    NILVALUE,
    HeaderTemplates,
    LocalTimestamps,
    MessageLimits,
    MessageOrigin,
    OriginCache,
)
from tailer.sinks.syslog.severity import Severity, priorities

_NOT_IN_TAG: Final = re.compile("[^A-Za-z0-9]")  # RFC 3164, 4.1.3: anything else ends it
_MAX_TAG_CHARACTERS: Final = 32
_NOT_IN_PROCID: Final = re.compile(r"[][:]")
# rsyslog reads the second word as a host only if it has these characters and ends with a
# letter or digit; else as the tag, and the tag as a part of the text.
_NOT_IN_HOST: Final = re.compile("[^A-Za-z0-9._-]")
_NO_HOST: Final = "unknown"
_NO_TAG: Final = "aicore"


class _Frame(NamedTuple):
    """What the messages of one origin share."""

    severity: int | None  # None where each line has its own
    names: str  # from the time to the text


class Rfc3164Formatter:
    def __init__(
        self,
        section: SyslogSection,
        limits: MessageLimits,
        scenario_of: Callable[[Target], str],
        timezone: tzinfo | None,
    ) -> None:
        self._max_bytes = limits.max_bytes
        self._scenario_of = scenario_of
        self._header = HeaderTemplates(section, max_bytes=limits.max_bytes)
        self._severity = Severity(section)
        self._priorities = priorities(section.facility)
        self._escaper = Escaper(
            section.control_characters, may_hold_newlines=limits.may_hold_newlines
        )
        self._is_split = section.oversize == "split"
        self._timestamps = LocalTimestamps(timezone)
        self._frames = OriginCache(self._frame)

    def __call__(self, batch: Batch) -> list[bytes]:
        frames = self._frames.of_entries(batch, self._scenario_of(batch.target))
        texts = self._escaper.escape_all([message_text(entry.msg) for entry in batch.entries])
        messages = []
        for entry, time_ns, (shared, names), text in zip(
            batch.entries, batch.times_ns, frames, texts, strict=True
        ):
            severity = self._severity.of_entry(entry) if shared is None else shared
            head = f"{self._priorities[severity]}{self._timestamps(time_ns)}{names}"
            message = f"{head}{text}".encode()
            if len(message) <= self._max_bytes:
                messages.append(message)
            else:
                messages.extend(self._shortened(head.encode(), text.encode()))
        return messages

    def _frame(self, origin: MessageOrigin) -> _Frame:
        names = self._header.fill(origin.fields)
        host = _NOT_IN_HOST.sub("_", names.hostname).rstrip("._-") or _NO_HOST
        tag = _NOT_IN_TAG.sub("", names.app_name)[:_MAX_TAG_CHARACTERS] or _NO_TAG
        procid = _NOT_IN_PROCID.sub("_", names.procid)
        process = f"[{procid}]" if procid and procid != NILVALUE else ""
        return _Frame(self._severity.of_stream(origin.stream), f" {host} {tag}{process}: ")

    def _shortened(self, head: bytes, text: bytes) -> list[bytes]:
        """A message that is too long, truncated or split."""
        room = self._max_bytes - len(head)
        if not self._is_split:
            end = cut_position(text, room - len(f" [+{len(text)} bytes]"))
            return [b"%b%b [+%d bytes]" % (head, text[:end], len(text) - end)]
        most = max_parts(text)
        parts = split(text, room - len(f"({most}/{most}) "))
        return [
            b"%b(%d/%d) %b" % (head, number, len(parts), part)
            for number, part in enumerate(parts, 1)
        ]
