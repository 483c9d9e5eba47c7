"""The message expected for a line, computed from the documented rules without tailer's code.

Character by character, so it is slow; it is here to be right.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from support.receivers.hostile import FAR_TOO_LONG, HostileLine
from support.receivers.received import NIL, Received

from tailer.config.settings import ControlCharacters
from tailer.model import Text
from tailer.timestamp import NS_PER_S

SD_ID = "aicore@32473"
_LOCAL0 = 16
_WARNING, _INFO = 4, 6
_ID = re.compile(r"[0-9a-f]{16}-[0-9]+(-[0-9]+)?", re.ASCII)
_LONGEST_TIMESTAMP = 40
_QUOTED = str.maketrans({character: f"\\{character}" for character in '"]\\'})
_CUT_ROOM = 64  # bytes that a truncation may leave unused: the counter, a whole character


@dataclass(frozen=True, slots=True)
class Habits:
    """What a receiver does of its own accord. Neither keeps newlines at the end of a message."""

    drops_all_newlines: bool  # else one
    drops_byte_order_mark: bool
    replaces_no_host: bool  # with the sender's host name

    def kept(self, text: str) -> str:
        text = text.rstrip("\n") if self.drops_all_newlines else text.removesuffix("\n")
        return text.removeprefix("\ufeff") if self.drops_byte_order_mark else text


HABITS = {
    "rsyslog": Habits(
        drops_all_newlines=False, drops_byte_order_mark=False, replaces_no_host=False
    ),
    "syslog-ng": Habits(drops_all_newlines=True, drops_byte_order_mark=True, replaces_no_host=True),
}


@dataclass(frozen=True)
class Expected:
    """`text` is all of it, however long. `time_us` None: the receiver takes its own time."""

    pri: int
    time_us: int | None
    hostname: str
    appname: str
    procid: str
    msgid: str
    params: dict[str, str]
    text: str

    @cached_property
    def text_bytes(self) -> bytes:
        return self.text.encode()

    @cached_property
    def head_bytes(self) -> int:
        """Length of the message without its id, its text and its truncation notice."""
        time = NIL if self.time_us is None else "2026-01-02T03:04:05.123456Z"
        sd = "".join([f' {name}="{_quoted(value)}"' for name, value in self.params.items()])
        names = f"{self.hostname} {self.appname} {self.procid} {self.msgid}"
        return len(f'<{self.pri}>1 {time} {names} [{SD_ID} id=""{sd}] '.encode())


def expect(line: HostileLine, mode: ControlCharacters, *, may_hold_newlines: bool) -> Expected:
    in_values: ControlCharacters = "octal" if mode == "octal" else "escape"
    entry, target = line.entry, line.target
    named = {
        "resource_group": target.resource_group,
        "kind": str(target.kind),
        "target": target.id,
        "scenario": line.scenario or None,
        "pod": entry.pod,
        "container": entry.container,
        "stream": entry.stream,
    }
    params = {
        name: spelled(text, in_values, may_hold_newlines=False)
        for name, text in named.items()
        if isinstance(text, str) and len(text) < FAR_TOO_LONG
    }
    stamp = entry.timestamp
    if isinstance(stamp, str):
        value = spelled(stamp, in_values, may_hold_newlines=False)
        if len(_quoted(value).encode()) <= _LONGEST_TIMESTAMP:
            params = {"timestamp": value, **params}
    output = entry.msg.removesuffix("\n") if isinstance(entry.msg, str) else ""
    return Expected(
        pri=_LOCAL0 * 8 + (_WARNING if _stream(entry.stream, output) == "stderr" else _INFO),
        time_us=line.time_ns // 1000 if line.is_dated else None,
        hostname=_name(entry.pod, 255),
        appname=_name(target.id, 48),
        procid=_name(entry.container, 128),
        msgid="AICORE",
        params=params,
        text=spelled(output, mode, may_hold_newlines=may_hold_newlines),
    )


def differences(
    expected: Expected, got: Received, *, max_bytes: int, habits: Habits
) -> dict[str, tuple[str, str]]:
    """By field: what was expected, and what came. Empty when all is right."""
    params = dict(got.elements.get(SD_ID, {}))
    id_, truncated = params.pop("id", ""), params.pop("truncated", None)
    text, head_bytes = expected.text_bytes, expected.head_bytes + len(id_)
    is_cut = head_bytes + len(text) > max_bytes
    left_out = int(truncated or "0")
    kept = text[: len(text) - left_out]
    unused = max_bytes - head_bytes - len(f' truncated="{truncated}"') - len(kept)
    claims: dict[str, tuple[object, object]] = {
        "pri": (expected.pri, got.pri),
        "hostname": (expected.hostname, got.hostname),
        "appname": (expected.appname, got.appname),
        "procid": (expected.procid, got.procid),
        "msgid": (expected.msgid, got.msgid),
        "params": (expected.params, params),
        "looks like an id": (True, _ID.fullmatch(id_) is not None),
        "is cut": (is_cut, left_out > 0),
        "uses the room": (True, 0 <= unused < _CUT_ROOM or not is_cut),
        "msg": (habits.kept(kept.decode(errors="replace")), got.msg),
    }
    if expected.time_us is not None:
        claims["time"] = (expected.time_us, got.time_us)
    if expected.hostname == NIL and habits.replaces_no_host:
        del claims["hostname"]
    return _untrue(claims)


def differences_in_old_format(
    line: HostileLine, expected: Expected, got: Received, *, max_bytes: int
) -> dict[str, tuple[str, str]]:
    """Of RFC 3164, which has neither structured data nor anything but ASCII letters in a tag."""
    host = re.sub(r"[^A-Za-z0-9._-]", "_", expected.hostname).rstrip("._-") or "unknown"
    procid = re.sub(r"[][:]", "_", expected.procid)
    process = f"[{procid}]" if procid != NIL else ""
    tag = re.sub(r"[^A-Za-z0-9]", "", expected.appname)[:32]
    room = max_bytes - len(f"<{expected.pri}>Jan  2 03:04:05 {host} {tag}{process}: ")
    text = expected.text_bytes
    cut = re.search(r" \[\+([0-9]+) bytes\]$", got.msg) if len(text) > room else None
    kept = text[: len(text) - int(cut[1])] if cut else text
    mark = cut[0] if cut else ""
    local = datetime.fromtimestamp(line.time_ns // NS_PER_S, UTC).astimezone()
    return _untrue(
        {
            "pri": (expected.pri, got.pri),
            "time": (f"{local:%m-%dT%H:%M:%S}", got.timestamp[5:19]),
            "hostname": (host, got.hostname),
            "appname": (tag, got.appname),
            "procid": (procid, got.procid),
            "is cut": (len(text) > room, cut is not None),
            "uses the room": (
                True,
                cut is None or 0 <= room - len(kept) - len(mark) < _CUT_ROOM,
            ),
            "msg": (kept.decode(errors="replace") + mark, got.msg),
        }
    )


def _untrue(claims: dict[str, tuple[object, object]]) -> dict[str, tuple[str, str]]:
    return {
        name: (_short(wanted), _short(came))
        for name, (wanted, came) in claims.items()
        if wanted != came
    }


def spelled(text: str, mode: ControlCharacters, *, may_hold_newlines: bool) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(character, mode, may_hold_newlines) for character in text)


@lru_cache(maxsize=10_000)
def _spelled(character: str, mode: ControlCharacters, may_hold_newlines: bool) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return f"\\u{code:04x}"
    is_control = code < 0x20 or 0x7F <= code < 0xA0 or code in {0x2028, 0x2029}
    if not is_control or character == "\t":
        return character
    if mode == "raw" and character != "\0" and (may_hold_newlines or character not in "\r\n"):
        return character
    if mode == "octal":
        return "".join(f"#{byte:03o}" for byte in character.encode())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _name(text: Text, longest: int) -> str:
    name = text[:longest] if isinstance(text, str) else ""
    return "".join(one if "!" <= one <= "~" else "_" for one in name) or NIL


def _stream(stream: Text, output: str) -> str:
    """Of a line that has none, the one of a container runtime's line that was passed on."""
    if isinstance(stream, str):
        return stream
    wrapped = re.match(r"[0-9T:.-]+Z (stdout|stderr) [FP] ", output)
    return wrapped[1] if wrapped else ""


def _quoted(value: str) -> str:
    return value.translate(_QUOTED)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) < 200 else f"{shown[:120]}… {len(shown)} …{shown[-60:]}"
