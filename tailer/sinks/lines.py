"""Message text, CRI prefix and stream of a line; the line filter of a sink. Pure.

The spool stores every line; filters apply on delivery.
Patterns are Python's: `(a+)+$` can take exponential time on some lines, and nothing limits it.
They come from the operator, never from a log.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailer.errors import ConfigError
from tailer.model import Batch, Entry, Text

_CRI = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (stdout|stderr) [FP](?: |$)",
    re.ASCII,
)


def message_text(msg: Text) -> str:
    """The message without its one trailing newline; empty when the entry has none."""
    return msg.removesuffix("\n") if isinstance(msg, str) else ""


def without_cri(message: str) -> tuple[str, str | None]:
    """Strip the prefix of a container runtime; returns the message and the prefix's stream.

    Observed in the service: `2022-11-04T12:49:51.440561519Z stderr F Starting …`.
    """
    match = _CRI.match(message)
    return (message, None) if match is None else (message[match.end() :], match[1])


def stream_of(entry: Entry) -> str | None:
    """The entry's stream; if the entry has none, the stream of the message's CRI prefix."""
    if isinstance(entry.stream, str):
        return entry.stream
    return without_cri(message_text(entry.msg))[1]


def compile_pattern(text: str, flag_name: str) -> re.Pattern[str]:
    """Compile the regular expression given as `flag_name`.

    Raises:
        ConfigError: It is invalid.
    """
    try:
        with warnings.catch_warnings():  # "possible nested set" must not reach stderr
            warnings.simplefilter("ignore")
            return re.compile(text)
    except re.error as error:
        position = "" if error.pos is None else f" at position {error.pos}"
        raise ConfigError(
            f"{flag_name} {text!r} is not a regular expression: {error.msg}{position}",
            hint="put a backslash before a literal special character",
        ) from error
    except (OverflowError, RecursionError) as error:
        raise ConfigError(f"{flag_name} {text!r} is too large a regular expression") from error


_Patterns = tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A line passes when every given criterion passes.

    - `include`: any pattern matches in the message; `exclude`: none does. The message is
      without its trailing newline, so `$` is its end. A missing message counts as empty.
    - `containers`, `pods`: any pattern matches in the name. A line without a name fails.
    - `streams`: the line has one of these. A line without a stream fails, unless its message
      has a container runtime's prefix with the stream.
    """

    include: _Patterns = ()
    exclude: _Patterns = ()
    containers: _Patterns = ()
    pods: _Patterns = ()
    streams: frozenset[str] = frozenset()

    def passes(self, entry: Entry) -> bool:
        if self.streams and stream_of(entry) not in self.streams:
            return False
        if self.pods and not _matches(self.pods, entry.pod):
            return False
        if self.containers and not _matches(self.containers, entry.container):
            return False
        message = message_text(entry.msg)
        if self.include and not _matches(self.include, message):
            return False
        return not _matches(self.exclude, message)

    def narrow(self, batch: Batch) -> Batch:
        """The batch at its old position with the lines that pass, possibly none."""
        if self == LineFilter():
            return batch
        return part_of(batch, [i for i, entry in enumerate(batch.entries) if self.passes(entry)])


def part_of(batch: Batch, indices: Sequence[int]) -> Batch:
    """The batch at its old position with only the lines at `indices`."""
    if len(indices) == len(batch.entries):
        return batch
    return replace(
        batch,
        entries=tuple(batch.entries[index] for index in indices),
        times_ns=tuple(batch.times_ns[index] for index in indices),
    )


def _matches(patterns: _Patterns, text: Text) -> bool:
    return isinstance(text, str) and any(pattern.search(text) for pattern in patterns)
