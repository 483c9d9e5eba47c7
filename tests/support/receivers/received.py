"""What a receiver understood of one message, field by field."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from tailer.timestamp import NS_PER_S

NIL: Final = "-"
_ELEMENT = re.compile(r'\[([^ ="\]]{1,32})((?: [^ ="\]]{1,32}="(?:[^"\\\]]|\\.)*")*)\]', re.DOTALL)
_PARAM = re.compile(r' ([^ ="\]]{1,32})="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')
_NS_PER_US = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Received:
    """As the receiver wrote it down. A header field that was not there is NIL."""

    transport: str
    pri: int
    timestamp: str
    hostname: str
    appname: str
    procid: str
    msgid: str
    sd: str
    msg: str

    @property
    def facility(self) -> int:
        return self.pri // 8

    @property
    def severity(self) -> int:
        return self.pri % 8

    @property
    def time_us(self) -> int:
        """Microseconds since 1970; RFC 5424 knows nothing finer."""
        stamp = datetime.fromisoformat(self.timestamp)
        assert stamp.tzinfo is not None, self.timestamp
        whole_s = (stamp - _EPOCH) // timedelta(seconds=1)
        return whole_s * (NS_PER_S // _NS_PER_US) + stamp.microsecond

    @cached_property
    def elements(self) -> dict[str, dict[str, str]]:
        """The structured data: parameters by element, with nothing escaped any more."""
        return parse_structured_data(self.sd)


def parse_structured_data(text: str) -> dict[str, dict[str, str]]:
    """RFC 5424, 6.3, to the letter: whatever is not in its grammar is an assertion."""
    if text in {NIL, ""}:
        return {}
    found: dict[str, dict[str, str]] = {}
    at = 0
    while at < len(text):
        element = _ELEMENT.match(text, at)
        assert element, text[at:]
        params = _PARAM.findall(element[2])
        assert element[1] not in found, f"{element[1]} twice in {text}"
        found[element[1]] = {name: _meant(value) for name, value in params}
        assert len(found[element[1]]) == len(params), f"a parameter twice in {text}"
        at = element.end()
    return found


def _meant(value: str) -> str:
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value
