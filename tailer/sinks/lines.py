"""Message text, CRI prefix, stream; LineFilter.

What a line says, apart from how the service wrapped it. Pure.

Which lines a sink wants. Pure.

Lines that no sink wants are spooled all the same, so this is asked on delivery only.
Patterns are Python's: one like `(a+)+$` can take exponential time on an unlucky line,
and nothing here stops it. They come from the operator, never from a log.
"""

import re
import warnings
from dataclasses import dataclass, replace

from tailer.errors import ConfigError
from tailer.model import Batch, Entry, Text

_CRI = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (stdout|stderr) [FP](?: |$)",
    re.ASCII,
)


def message_text(msg: Text) -> str:
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
    return without_cri(message_text(entry.msg))[1]


def compile_pattern(text: str, flag_name: str) -> re.Pattern[str]:
    """The regular expression given as `flag_name`.

    Raises:
        ConfigError: It is none.
    """
    try:
        with warnings.catch_warnings():  # such as "possible nested set": not for our stderr
            warnings.simplefilter("ignore")
            return re.compile(text)
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise ConfigError(
            f"{flag_name} {text!r} is not a regular expression: {error.msg}{place}",
            hint="put a backslash before a character that is meant literally",
        ) from error
    except (OverflowError, RecursionError) as error:
        raise ConfigError(f"{flag_name} {text!r} is too large a regular expression") from error


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A line passes when every criterion that is given passes.

    - `include`: any pattern is found in the message; `exclude`: none is. The message
      is without its trailing newline, so `$` is its end; a missing one counts as empty.
    - `containers`, `pods`: any pattern is found in the name. A line without one fails.
    - `streams`: exactly one of these. A line without one fails, unless its message
      begins with a container runtime's prefix that names it.
    """

    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    containers: tuple[re.Pattern[str], ...] = ()
    pods: tuple[re.Pattern[str], ...] = ()
    streams: frozenset[str] = frozenset()

    @property
    def passes_everything(self) -> bool:
        return not (self.include or self.exclude or self.containers or self.pods or self.streams)

    def passes(self, entry: Entry) -> bool:
        if self.streams and stream_of(entry) not in self.streams:
            return False
        if self.pods and not _found(self.pods, entry.pod):
            return False
        if self.containers and not _found(self.containers, entry.container):
            return False
        message = message_text(entry.msg)
        if self.include and not _found(self.include, message):
            return False
        return not _found(self.exclude, message)

    def narrow(self, batch: Batch) -> Batch:
        """The batch with only the lines that pass, at its old position; maybe none."""
        if self.passes_everything:
            return batch
        kept = [
            (entry, time_ns)
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
            if self.passes(entry)
        ]
        return replace(
            batch,
            entries=tuple(entry for entry, _ in kept),
            times_ns=tuple(time_ns for _, time_ns in kept),
        )


def _found(patterns: tuple[re.Pattern[str], ...], text: Text) -> bool:
    return isinstance(text, str) and any(pattern.search(text) for pattern in patterns)
