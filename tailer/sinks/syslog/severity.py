"""Severity from stream or from the line.

The level that a line states of itself, in the forms that logging libraries write. Pure.

Only where such a library puts it: in a JSON object or logfmt pair of that name, or at
the beginning after a time and names in brackets. A word in prose ("no ERROR found") is
none, and in doubt there is no level: then the line's stream decides.

How severe a line is: from its stream, or from what it says of itself. Pure.
"""

import re
from typing import Any, Final

import msgspec

from tailer.config.settings import FACILITIES, SEVERITIES, SyslogSection
from tailer.model import Entry, Text
from tailer.sinks.lines import message_text, stream_of, without_cri

_NOT_LOOKED_AT_FROM: Final = 1024  # characters; a level stands near the beginning

_CODES: Final = {
    **dict.fromkeys(("emerg", "emergency"), 0),
    "alert": 1,
    **dict.fromkeys(("crit", "critical", "fatal", "panic", "dpanic"), 2),
    **dict.fromkeys(("err", "error", "eror", "severe"), 3),  # codespell:ignore eror
    **dict.fromkeys(("warn", "warning", "wrn"), 4),
    "notice": 5,
    **dict.fromkeys(("info", "information", "informational", "inf", "success"), 6),
    **dict.fromkeys(("debug", "dbug", "dbg", "trace", "trc", "verbose"), 7),
}
_PINO: Final = {60: 2, 50: 3, 40: 4, 30: 6, 20: 7, 10: 7}  # bunyan has the same numbers
_LETTERS: Final = {"F": 2, "C": 2, "E": 3, "W": 4, "I": 6, "D": 7}


class _Stated(msgspec.Struct, gc=False):
    """The keys that libraries use. Of any type: the line is a stranger's."""

    level: Any = None
    levelname: Any = None
    severity: Any = None
    lvl: Any = None
    loglevel: Any = None
    dotted: Any = msgspec.field(default=None, name="log.level")
    log_level: Any = None
    level_name: Any = None
    severity_text: Any = None
    severity_text_otel: Any = msgspec.field(default=None, name="severityText")


_JSON: Final = msgspec.json.Decoder(_Stated)

# Upper case is a level where lower case is a word: "ERROR" and "error" after a time.
_LOUD: Final = (
    "EMERG(?:ENCY)?|ALERT|CRIT(?:ICAL)?|FATAL|D?PANIC|SEVERE|WARN(?:ING)?|WRN|"
    "ERR(?:OR)?|EROR|"  # codespell:ignore eror
    "NOTICE|INFO(?:RMATION)?|INF|SUCCESS|DEBUG|DBUG|DBG|TRACE|TRC|VERBOSE"
)
_ANY_CASE: Final = f"(?i:{_LOUD})"
_CLOCK: Final = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_TIME: Final = re.compile(
    rf"\[?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ]{_CLOCK}(?: ?Z| ?[+-]\d\d:?\d\d)?|{_CLOCK})\]?", re.ASCII
)
_GAP: Final = r"[ \t:|-]{0,9}"  # bounded, or a line of dashes would take long
_NAMES: Final = r"(?:[ \t]*\[[^\]\n]{0,80}\](?=[ \t\[|:-])){0,2}"  # [main], [31], [31] [main]

_AFTER_TIME: Final = re.compile(
    "|".join(
        [
            r": (?P<tensorflow>[IWEFD]) \S",
            rf" - \S{{1,200}} - (?P<python>{_ANY_CASE}) - ",  # - name - WARNING - msg
            rf"{_GAP}{_NAMES}{_GAP}\[(?P<boxed>{_ANY_CASE}) *\]",  # [main] [WARN] msg
            rf"[ \t]{{0,9}}[\t|] *(?P<column>{_ANY_CASE}) *[\t|]",  # | WARNING | msg
            rf"{_GAP}{_NAMES}{_GAP}(?P<loud>{_LOUD})(?=[ \t:|,-]|$)",  # [main] WARN msg
            rf"{_GAP}(?P<colon>{_ANY_CASE}): ",
        ]
    ),
    re.ASCII,
)
_AT_BEGINNING: Final = re.compile(
    "|".join(
        [
            r"(?P<glog>[IWEFD])(?:\d{4}){1,2} \d\d:\d\d:\d\d",  # W0102 15:04:05.123456, absl too
            r"\[(?P<tornado>[DIWEC]) (?:\d{4}-\d\d-\d\d|\d{6}|\d\d:\d\d:\d\d)[ T\].]",
            rf"\[(?P<boxed>{_ANY_CASE}) *[]|]",  # [WARNING] msg, [INFO|trainer.py:12]
            rf"(?P<first>{_ANY_CASE}):",  # WARNING:name:msg, INFO:     msg, error: msg
            rf"(?P<column>{_LOUD})(?:\t| {{2,9}})\S",  # WARNING  msg
            # INFO 01-02 15:04:05 [engine.py:12], (Worker pid=7) INFO 01-02 …, INFO [main]
            rf"(?:\([^()\n]{{1,80}}\) )?(?P<loud>{_LOUD}) (?:\d\d[-:/]|\d{{4}}[-/]|[\[(|] ?|- )",
        ]
    ),
    re.ASCII,
)
_LOGFMT: Final = re.compile(
    r'(?:[\w.@-]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)[ \t]+)*?'
    r'(?:level|lvl|severity|loglevel|log\.level)="?(\w+)"?(?=\s|$)',
    re.ASCII,
)
_FIRST_PAIR: Final = re.compile(r"[\w.@-]{1,60}=", re.ASCII)
_COLORS: Final = re.compile(r"\x1b\[[\d;]*m", re.ASCII)
_NO_BEGINNING: Final = frozenset(" \t\"'#*+,-./:;<=>|\\~^`!?&%$")  # of prose, tables, tracebacks


def level_of(message: str) -> int | None:
    """Its code in RFC 5424, table 2; None if the line states none. `message` has no CRI prefix."""
    first = message[:1]
    if first == "{":
        return _in_json(message)
    if not first or first in _NO_BEGINNING:
        return None
    text = message[:_NOT_LOOKED_AT_FROM]
    if "\x1b" in text:
        text = _COLORS.sub("", text)
    time = _TIME.match(text) if first <= "9" or first == "[" else None
    found = _AFTER_TIME.match(text, time.end()) if time else _AT_BEGINNING.match(text)
    if found is not None:
        word = found[found.lastgroup or 0]
        return _LETTERS[word] if len(word) == 1 else _CODES[word.lower()]
    if _FIRST_PAIR.match(text):
        pair = _LOGFMT.match(text)
        return None if pair is None else _CODES.get(pair[1].lower())
    return None


def _in_json(message: str) -> int | None:
    """By name, else by number: Python's 30 beside "WARNING" is not pino's 30."""
    try:
        stated = _JSON.decode(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    values = [getattr(stated, key) for key in _Stated.__struct_fields__]
    for value in values:
        if isinstance(value, str) and (code := _CODES.get(value.strip().lower())) is not None:
            return code
    return _PINO.get(stated.level) if type(stated.level) is int else None


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
            level = level_of(without_cri(message_text(entry.msg))[0])
            if level is not None:
                return level
        return self._of_stderr if stream_of(entry) == "stderr" else self._of_stdout


def priorities(facility: str) -> tuple[str, ...]:
    """`<PRI>` for each severity."""
    place = FACILITIES.index(facility)
    code = place if place < _LOCAL0_PLACE else place - _LOCAL0_PLACE + _LOCAL0
    return tuple(f"<{code * 8 + severity}>" for severity in range(len(SEVERITIES)))
