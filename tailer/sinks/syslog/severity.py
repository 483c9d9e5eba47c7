"""Severity of a line, from its stream or from the level that the line contains. Pure.

A level is recognized only where a logging library writes it: in a JSON object or logfmt pair
of that name, or at the start of the line after a time and names in brackets. A word in prose
("no ERROR found") is no level. In doubt the line has no level, and its stream decides.
"""

import re
from typing import Any, Final

import msgspec

from tailer.config.settings import FACILITIES, SEVERITIES, SyslogSection
from tailer.model import Entry, Text
from tailer.sinks.lines import message_text, stream_of, without_cri

_SEARCHED_CHARACTERS: Final = 1024  # a level is near the start

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


class _JsonLevels(msgspec.Struct, gc=False):
    """The keys that libraries use. Their types vary, because any program may write the line."""

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


_JSON: Final = msgspec.json.Decoder(_JsonLevels)

# Upper case is a level where lower case is a word: "ERROR" and "error" after a time.
_UPPER: Final = (
    "EMERG(?:ENCY)?|ALERT|CRIT(?:ICAL)?|FATAL|D?PANIC|SEVERE|WARN(?:ING)?|WRN|"
    "ERR(?:OR)?|EROR|"  # codespell:ignore eror
    "NOTICE|INFO(?:RMATION)?|INF|SUCCESS|DEBUG|DBUG|DBG|TRACE|TRC|VERBOSE"
)
_ANY_CASE: Final = f"(?i:{_UPPER})"
_CLOCK: Final = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_TIME: Final = re.compile(
    rf"\[?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ]{_CLOCK}(?: ?Z| ?[+-]\d\d:?\d\d)?|{_CLOCK})\]?", re.ASCII
)
_GAP: Final = r"[ \t:|-]{0,9}"  # bounded: a line of dashes would take long
_NAMES: Final = r"(?:[ \t]*\[[^\]\n]{0,80}\](?=[ \t\[|:-])){0,2}"  # [main], [31], [31] [main]

_AFTER_TIME: Final = re.compile(
    "|".join(
        [
            r": (?P<tensorflow>[IWEFD]) \S",
            rf" - \S{{1,200}} - (?P<python>{_ANY_CASE}) - ",  # - name - WARNING - msg
            rf"{_GAP}{_NAMES}{_GAP}\[(?P<boxed>{_ANY_CASE}) *\]",  # [main] [WARN] msg
            rf"[ \t]{{0,9}}[\t|] *(?P<column>{_ANY_CASE}) *[\t|]",  # | WARNING | msg
            rf"{_GAP}{_NAMES}{_GAP}(?P<upper>{_UPPER})(?=[ \t:|,-]|$)",  # [main] WARN msg
            rf"{_GAP}(?P<colon>{_ANY_CASE}): ",
        ]
    ),
    re.ASCII,
)
_AT_START: Final = re.compile(
    "|".join(
        [
            r"(?P<glog>[IWEFD])(?:\d{4}){1,2} \d\d:\d\d:\d\d",  # W0102 15:04:05.123456, absl too
            r"\[(?P<tornado>[DIWEC]) (?:\d{4}-\d\d-\d\d|\d{6}|\d\d:\d\d:\d\d)[ T\].]",
            rf"\[(?P<boxed>{_ANY_CASE}) *[]|]",  # [WARNING] msg, [INFO|trainer.py:12]
            rf"(?P<first>{_ANY_CASE}):",  # WARNING:name:msg, INFO:     msg, error: msg
            rf"(?P<column>{_UPPER})(?:\t| {{2,9}})\S",  # WARNING  msg
            # INFO 01-02 15:04:05 [engine.py:12], (Worker pid=7) INFO 01-02 …, INFO [main]
            rf"(?:\([^()\n]{{1,80}}\) )?(?P<upper>{_UPPER}) (?:\d\d[-:/]|\d{{4}}[-/]|[\[(|] ?|- )",
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
_NOT_AT_START: Final = frozenset(" \t\"'#*+,-./:;<=>|\\~^`!?&%$")  # prose, tables, tracebacks


def level_of(message: str) -> int | None:
    """Code of the level in RFC 5424, table 2, or None. `message` has no CRI prefix."""
    first = message[:1]
    if first == "{":
        return _in_json(message)
    if not first or first in _NOT_AT_START:
        return None
    text = message[:_SEARCHED_CHARACTERS]
    if "\x1b" in text:
        text = _COLORS.sub("", text)
    time = _TIME.match(text) if first <= "9" or first == "[" else None
    found = _AFTER_TIME.match(text, time.end()) if time else _AT_START.match(text)
    if found is not None:
        word = found[found.lastgroup or 0]
        return _LETTERS[word] if len(word) == 1 else _CODES[word.lower()]
    if _FIRST_PAIR.match(text):
        pair = _LOGFMT.match(text)
        return None if pair is None else _CODES.get(pair[1].lower())
    return None


def _in_json(message: str) -> int | None:
    """By name, else by number: Python's 30 next to "WARNING" is not pino's 30."""
    try:
        levels = _JSON.decode(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    values = [getattr(levels, key) for key in _JsonLevels.__struct_fields__]
    for value in values:
        if isinstance(value, str) and (code := _CODES.get(value.strip().lower())) is not None:
            return code
    return _PINO.get(levels.level) if type(levels.level) is int else None


class Severity:
    """The code of RFC 5424, table 2: 0 emergency … 7 debug."""

    def __init__(self, section: SyslogSection) -> None:
        self._of_stdout = SEVERITIES.index(section.severity_stdout)
        self._of_stderr = SEVERITIES.index(section.severity_stderr)
        self._from_line = section.severity == "auto"

    def of_stream(self, stream: Text) -> int | None:
        """Severity of every line of the stream, or None if each line has its own."""
        if self._from_line or not isinstance(stream, str):
            return None
        return self._of_stderr if stream == "stderr" else self._of_stdout

    def of_entry(self, entry: Entry) -> int:
        if self._from_line:
            level = level_of(without_cri(message_text(entry.msg))[0])
            if level is not None:
                return level
        return self._of_stderr if stream_of(entry) == "stderr" else self._of_stdout


def priorities(facility: str) -> tuple[str, ...]:
    """`<PRI>` for each severity."""
    code = FACILITIES.index(facility)
    if facility.startswith("local"):
        code += 4  # RFC 5424, table 1: FACILITIES has no names for 12 to 15
    return tuple(f"<{code * 8 + severity}>" for severity in range(len(SEVERITIES)))
