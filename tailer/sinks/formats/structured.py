"""Formats for machines: json, logfmt, raw. Lines stay in the order of the batch.

The message is written without its one trailing newline, and otherwise as received.
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
    """The keys of a JSON line, in their order. UNSET is left out, null stays null."""

    timestamp: Text
    resource_group: str
    target: str
    pod: Text
    container: Text
    stream: Text
    msg: Text


_encoder = msgspec.json.Encoder()


def format_json(batch: Batch, *, escape: bool) -> bytes:
    """One JSON object a line; unknown fields of the entry follow under their own names.

    An unknown field with the name of an existing key, such as `target`, gets underscores at
    its end until it is unique: no field is dropped, and no key occurs twice.
    """
    page = _json_page(batch)
    return visible_json(page) if escape else page


def _json_page(batch: Batch) -> bytes:
    group, target = batch.target.resource_group, batch.target.name
    lines = []
    for entry in batch.entries:
        if entry.__class__ is not Entry:
            return b"".join([_any_json_line(batch.target, each) for each in batch.entries])
        msg = entry.msg
        if msg.__class__ is str:
            msg = msg.removesuffix("\n")
        lines.append(
            _JsonLine(entry.timestamp, group, target, entry.pod, entry.container, entry.stream, msg)
        )
    try:
        return _encoder.encode_lines(lines)
    except UnicodeEncodeError:
        return b"".join([_any_json_line(batch.target, each) for each in batch.entries])


def _any_json_line(target: Target, entry: Entry) -> bytes:
    """A JSON line of any entry: with half surrogates, with unknown fields."""
    texts: dict[str, Text] = {
        "timestamp": entry.timestamp,
        "resource_group": target.resource_group,
        "target": target.name,
        "pod": entry.pod,
        "container": entry.container,
        "stream": entry.stream,
        "msg": message_text(entry.msg) if isinstance(entry.msg, str) else entry.msg,
    }
    fields = {key: _json_text(text) for key, text in texts.items() if text is not UNSET}
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
    r"""Names and JSON values, each value on one line; numbers keep their digits.

    msgspec rejects half surrogates such as "\ud800" in names, the standard library accepts them.
    """
    text = bytes(extra).decode(errors="replace").replace("\n", " ").replace("\r", " ")
    try:
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return [(name, json.dumps(value)) for name, value in json.loads(text).items()]
    return [(name, bytes(value).decode()) for name, value in raw.items()]


_BARE: Final = re.compile(r"[\w./:+@%,~-]+", re.ASCII)


def format_logfmt(batch: Batch, *, escape: bool) -> bytes:
    """`ts=… group=… target=… pod=… container=… stream=… msg="…"`, without missing fields.

    Quoted values are escaped as in JSON, which logfmt readers expect. Unknown fields of an
    entry are left out: they may be nested, which logfmt does not support.
    """
    page = "".join([_logfmt_line(batch.target, entry) for entry in batch.entries]).encode()
    return visible_json(page) if escape else page


def _logfmt_line(target: Target, entry: Entry) -> str:
    fields = {
        "ts": entry.timestamp,
        "group": target.resource_group,
        "target": target.name,
        "pod": entry.pod,
        "container": entry.container,
        "stream": entry.stream,
    }
    pairs = [f"{key}={_bare(text)}" for key, text in fields.items() if isinstance(text, str)]
    if isinstance(entry.msg, str):
        pairs.append(f"msg={_json_text(message_text(entry.msg))}")
    return " ".join(pairs) + "\n"


def _bare(text: str) -> str:
    return text if _BARE.fullmatch(text) else _json_text(text)


def format_raw(batch: Batch) -> bytes:
    """The messages only, never escaped; a missing message is an empty line."""
    return encode("".join([f"{message_text(entry.msg)}\n" for entry in batch.entries]))
