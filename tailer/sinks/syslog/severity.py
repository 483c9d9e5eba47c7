"""How severe a line is: from its stream, or from what it says of itself. Pure."""

from typing import Final

from tailer.config.settings import FACILITIES, SEVERITIES, SyslogSection
from tailer.model import Entry, Text
from tailer.sinks.line import said, stream_of, without_cri
from tailer.sinks.syslog.level import level_of

_LOCAL0: Final = 16  # RFC 5424, table 1: 12 to 15 are nobody's here
_LOCAL0_PLACE: Final = FACILITIES.index("local0")


class Severity:
    """The code of RFC 5424, table 2: 0 emergency … 7 debug."""

    def __init__(self, section: SyslogSection) -> None:
        self._of_stdout = SEVERITIES.index(section.severity_stdout)
        self._of_stderr = SEVERITIES.index(section.severity_stderr)
        self._lines_speak = section.severity == "auto"

    def of_stream(self, stream: Text) -> int | None:
        """Of every line of the stream, or None if each line must be asked."""
        if self._lines_speak or not isinstance(stream, str):
            return None
        return self._of_stderr if stream == "stderr" else self._of_stdout

    def of(self, entry: Entry) -> int:
        if self._lines_speak:
            level = level_of(without_cri(said(entry.msg))[0])
            if level is not None:
                return level
        return self._of_stderr if stream_of(entry) == "stderr" else self._of_stdout


def priorities(facility: str) -> tuple[str, ...]:
    """`<PRI>` for each severity."""
    place = FACILITIES.index(facility)
    code = place if place < _LOCAL0_PLACE else place - _LOCAL0_PLACE + _LOCAL0
    return tuple(f"<{code * 8 + severity}>" for severity in range(len(SEVERITIES)))
