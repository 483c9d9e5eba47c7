"""What a line says, apart from how the service wrapped it. Pure."""

import re

from tailer.model import Entry, Text

_CRI = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (stdout|stderr) [FP](?: |$)",
    re.ASCII,
)


def said(msg: Text) -> str:
    """The message without its one trailing newline; empty where the service sent none."""
    return msg.removesuffix("\n") if isinstance(msg, str) else ""


def without_cri(message: str) -> tuple[str, str | None]:
    """The message and its stream, where a container runtime's whole log line was passed on.

    Seen in the field: `2022-11-04T12:49:51.440561519Z stderr F Starting …`. Else None.
    """
    match = _CRI.match(message)
    return (message, None) if match is None else (message[match.end() :], match[1])


def stream_of(entry: Entry) -> str | None:
    """The entry's own stream, or the one that its message begins with."""
    if isinstance(entry.stream, str):
        return entry.stream
    return without_cri(said(entry.msg))[1]
