"""Formats for machines: json, logfmt, raw. Lines stay in the order of the batch.

The message is without its one trailing newline, and otherwise as it came.
"""

import json
import re
from typing import Final

import msgspec
from msgspec import UNSET

from tailer.model import Batch, Entry, ExtendedEntry, Target, Text
from tailer.sinks.lines import message_text
from tailer.text import encode, visible_json


class _JsonLine(msgspec.Struct, gc=False):
    """The keys of a JSON line, in their order. UNSET ones are left out, null stays null."""

    timestamp: Text
    resource_group: str
    target: str
    pod: Text
    container: Text
    stream: Text
    msg: Text


_OURS: Final = frozenset(_JsonLine.__struct_fields__)


class JsonFormatter:
    """One JSON object a line; unknown fields of the entry follow under their own names.

    An unknown field that is named like a key already there, `target` say, gets
    underscores behind it until it is alone: nothing is dropped, no key comes twice.
    """

    def __init__(self, *, escape: bool) -> None:
        self._escape = escape
        self._encoder = msgspec.json.Encoder()

    def __call__(self, batch: Batch) -> bytes:
        page = self._page(batch)
        return visible_json(page) if self._escape else page

    def _page(self, batch: Batch) -> bytes:
        group, target = batch.target.resource_group, batch.target.name
        lines = []
        for entry in batch.entries:
            if entry.__class__ is not Entry:
                return b"".join([self._any_line(batch.target, each) for each in batch.entries])
            msg = entry.msg
            if msg.__class__ is str:
                msg = msg.removesuffix("\n")
            lines.append(
                _JsonLine(
                    entry.timestamp, group, target, entry.pod, entry.container, entry.stream, msg
                )
            )
        try:
            return self._encoder.encode_lines(lines)
        except UnicodeEncodeError:
            return b"".join([self._any_line(batch.target, each) for each in batch.entries])

    def _any_line(self, target: Target, entry: Entry) -> bytes:
        """One line, whatever is in it: half surrogates, fields that nobody has heard of."""
        msg = message_text(entry.msg) if isinstance(entry.msg, str) else entry.msg
        known: dict[str, Text] = {
            "timestamp": entry.timestamp,
            "resource_group": target.resource_group,
            "target": target.name,
            "pod": entry.pod,
            "container": entry.container,
            "stream": entry.stream,
            "msg": msg,
        }
        fields = {key: _json_text(text) for key, text in known.items() if text is not UNSET}
        if isinstance(entry, ExtendedEntry):
            for name, value in _unknown_fields(entry.extra):
                key = name
                while key in fields:
                    key += "_"
                fields[key] = value
        pairs = ",".join(f"{_json_text(key)}:{value}" for key, value in fields.items())
        return f"{{{pairs}}}\n".encode()


def _json_text(text: Text) -> str:
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        return json.dumps(text)  # ASCII only: half a surrogate pair becomes `\ud800`


def _unknown_fields(extra: msgspec.Raw) -> list[tuple[str, str]]:
    r"""Names and JSON values on one line each; numbers keep their digits.

    msgspec refuses half surrogates such as "\ud800" in names, the standard library takes them.
    """
    text = bytes(extra).decode(errors="replace").replace("\n", " ").replace("\r", " ")
    try:
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return [(name, json.dumps(value)) for name, value in json.loads(text).items()]
    return [(name, bytes(value).decode()) for name, value in raw.items()]


class LogfmtFormatter:
    """`ts=… group=… target=… pod=… container=… stream=… msg="…"`; absent or null ones left out.

    Quoted values are escaped as in JSON, which is what logfmt readers expect. Unknown
    fields of an entry are left out: they may be nested, and logfmt has no such thing.
    """

    _BARE = re.compile(r"[\w./:+@%,~-]+", re.ASCII)

    def __init__(self, *, escape: bool) -> None:
        self._escape = escape

    def __call__(self, batch: Batch) -> bytes:
        group, target = self._value(batch.target.resource_group), self._value(batch.target.name)
        page = "".join([self._line(entry, group, target) for entry in batch.entries]).encode()
        return visible_json(page) if self._escape else page

    def _line(self, entry: Entry, group: str, target: str) -> str:
        ts, pod, container, stream = (
            f"{key}={self._value(text)} " if isinstance(text, str) else ""
            for key, text in (
                ("ts", entry.timestamp),
                ("pod", entry.pod),
                ("container", entry.container),
                ("stream", entry.stream),
            )
        )
        msg = f"msg={_json_text(message_text(entry.msg))}" if isinstance(entry.msg, str) else ""
        line = f"{ts}group={group} target={target} {pod}{container}{stream}{msg}"
        return line.rstrip(" ") + "\n"

    def _value(self, text: str) -> str:
        return text if self._BARE.fullmatch(text) else _json_text(text)


def format_raw(batch: Batch) -> bytes:
    """The messages and nothing else, terminal or not; one that is missing is an empty line."""
    return encode("".join([f"{message_text(entry.msg)}\n" for entry in batch.entries]))
