"""Text format for people.

A message of several lines stays one block: its further lines are indented to the first one.
With `escape`, control characters do not reach the terminal. A progress bar, which overwrites
itself after carriage returns, is shown in its last state, after an ellipsis for the others.
Without `escape`, lines are written as they were received.
"""

import re
from collections.abc import Sequence
from datetime import tzinfo

from tailer.model import Batch, Entry, Target, Text
from tailer.sinks.formats.prefix import LineOrigin, Prefix, Prefixes, dimmed, highlighted
from tailer.sinks.formats.times import WallTime
from tailer.sinks.lines import message_text, without_cri
from tailer.text import encode, is_plain, visible


class TextFormatter:
    """`[time ][names │ ]message`. The names depend on all lines so far."""

    def __init__(
        self,
        watched: Sequence[Target],
        *,
        timestamps: bool,
        timezone: tzinfo | None,
        in_color: bool,
        escape: bool,
        highlight: tuple[re.Pattern[str], ...],
    ) -> None:
        self._prefixes = Prefixes(watched, in_color=in_color)
        self._wall_time = WallTime(timezone)
        self._timestamps = timestamps
        self._in_color = in_color
        self._escape = escape
        self._highlight = highlight if in_color else ()

    def __call__(self, batch: Batch) -> bytes:
        messages = [message_text(entry.msg) for entry in batch.entries]
        streams: list[Text] = [entry.stream for entry in batch.entries]
        page = "\n".join(messages)
        if " stdout " in page or " stderr " in page:
            messages, streams = _unwrapped(batch.entries, messages)
            page = "\n".join(messages)
        origins = [
            LineOrigin(entry.pod, entry.container, stream)
            for entry, stream in zip(batch.entries, streams, strict=True)
        ]
        by_origin = self._prefixes.of(batch.target, set(origins))
        prefixes = [by_origin[origin] for origin in origins]
        if self._timestamps:
            prefixes = [
                self._timed(prefix, time_ns)
                for prefix, time_ns in zip(prefixes, batch.times_ns, strict=True)
            ]
        block = _line if self._is_simple(page, len(messages)) else self._block
        blocks = [
            block(prefix, message) for prefix, message in zip(prefixes, messages, strict=True)
        ]
        return encode("".join(blocks))

    def _timed(self, prefix: Prefix, time_ns: int) -> Prefix:
        time = self._wall_time(time_ns)
        text = dimmed(time) if self._in_color else time
        return Prefix(f"{text} {prefix.text}", len(time) + 1 + prefix.columns)

    def _is_simple(self, page: str, messages: int) -> bool:
        """Whether all messages can be written unchanged, as on nearly every page."""
        return (
            not self._highlight
            and page.count("\n") < max(messages, 1)
            and "\r" not in page
            and (not self._escape or is_plain(page))
        )

    def _block(self, prefix: Prefix, message: str) -> str:
        first, *others = [self._rendered(line) for line in message.split("\n")]
        indent = " " * prefix.columns
        return "".join([_line(prefix, first), *(f"{indent if e else ''}{e}\n" for e in others)])

    def _rendered(self, line: str) -> str:
        line = line.removesuffix("\r")
        if self._escape:
            line = visible(_last_state(line))
        return highlighted(line, self._highlight) if self._highlight else line


def _line(prefix: Prefix, message: str) -> str:
    return f"{prefix.text}{message}\n"


def _unwrapped(entries: Sequence[Entry], messages: Sequence[str]) -> tuple[list[str], list[Text]]:
    """Messages without the prefix of a container runtime, and the streams in the prefixes."""
    stripped: list[str] = []
    streams: list[Text] = []
    for entry, message in zip(entries, messages, strict=True):
        text, stream = without_cri(message)
        stripped.append(text)
        streams.append(entry.stream if isinstance(entry.stream, str) else stream)
    return stripped, streams


def _last_state(line: str) -> str:
    """What a terminal finally shows of a line that carriage returns overwrite."""
    if "\r" not in line:
        return line
    states = [state for state in line.split("\r") if state.strip()]
    if not states:
        return ""
    return states[-1] if len(states) == 1 else f"… {states[-1]}"
