"""The values that travel: what is watched, what the service showed, what could not be had."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

MAX_TOP = 5000  # the service's largest `$top`
DEFAULT_TOP = 1000  # what it answers with when it is asked for none


class Kind(StrEnum):
    DEPLOYMENT = "deployment"
    EXECUTION = "execution"


class Order(StrEnum):
    """Of a page, by timestamp. The order among equal timestamps is undocumented."""

    ASC = "asc"
    DESC = "desc"


class Status(StrEnum):
    """Of a deployment or execution. Every object starts as UNKNOWN, so that is not an end."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    COMPLETED = "COMPLETED"
    DEAD = "DEAD"
    STOPPED = "STOPPED"

    @property
    def is_terminal(self) -> bool:
        return self in {Status.COMPLETED, Status.DEAD, Status.STOPPED}


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One deployment or execution. The kind cannot be told from the id."""

    resource_group: str
    kind: Kind
    id: str

    @property
    def name(self) -> str:
        """As people write it: `deployment/d1a2…`."""
        return f"{self.kind}/{self.id}"


Text: TypeAlias = str | UnsetType | None
"""A field of an entry: its text, an explicit null, or UNSET where the service sent none."""


class Entry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One log line as the service showed it; encoding it gives back what was decoded.

    Every field may be missing. `timestamp` keeps the original characters, because
    `datetime` stops at microseconds. `msg` keeps its trailing newline, if it had one.
    """

    timestamp: Text = UNSET
    pod: Text = UNSET
    container: Text = UNSET
    stream: Text = UNSET
    msg: Text = UNSET

    @property
    def key(self) -> tuple[Text, Text, Text, Text]:
        """With the time, what makes two lines twins. The timestamp's spelling does not."""
        return (self.pod, self.container, self.stream, self.msg)


def text_bytes(entries: Sequence[Entry]) -> int:
    """What the messages of these lines have, as UTF-8."""
    texts = (entry.msg for entry in entries if isinstance(entry.msg, str))
    return sum(
        len(text) if text.isascii() else len(text.encode(errors="surrogatepass")) for text in texts
    )


class ExtendedEntry(Entry, frozen=True, gc=False, forbid_unknown_fields=False):
    """An entry with more in it than this version knows.

    `extra` is the JSON object of the unknown fields, in the order received.
    """

    extra: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the logs endpoint, in the order received.

    `top` is the `$top` that the service really worked with, so `len(entries) < top`
    means there was no more. `server_now_ns` was the service's clock when the question
    was sent: never later than the moment at which the service looked.
    """

    entries: Sequence[Entry]
    top: int
    server_now_ns: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Fresh lines of one target, in order of time: what the spool holds and sinks take.

    `position` is the batch's place in the spool, ascending. `times_ns` has one time per
    entry, as the cursor understood it: an entry's own timestamp may be missing.
    """

    position: int
    target: Target
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A deployment or execution as the service lists it. Times as received, RFC 3339.

    `status_details` is free-form JSON and comes only with a single get.
    """

    target: Target
    status: Status
    status_message: str = ""
    scenario_id: str = ""
    executable_id: str = ""
    configuration_id: str = ""
    configuration_name: str = ""
    created_at: str = ""
    modified_at: str = ""
    start_time: str = ""
    completion_time: str = ""
    status_details: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Filters of a listing that the service applies. An empty field matches everything."""

    scenario_id: str = ""
    executable_ids: tuple[str, ...] = ()  # one match is enough
    configuration_id: str = ""
    status: Status | None = None


NO_FILTER = ListFilter()


class GapReason(StrEnum):
    SATURATED = "saturated"  # more lines in one instant than any query returns
    LATENESS_SHRUNK = "lateness_shrunk"  # too many remembered lines: late ones may be missed
    RETENTION = "retention"  # the service no longer has it
    GONE = "gone"  # the target was deleted before it could be read to its end
    SINK_DROPPED = "sink_dropped"  # a sink was told to drop rather than wait
    SINK_REFUSED = "sink_refused"  # a server would not have a message, however often it was sent
    FILE_TRUNCATED = "file_truncated"  # somebody cut a file behind our back
    STATE_LOST = "state_lost"  # the spool was damaged
    CLOCK_SET_BACK = "clock_set_back"  # the service stamps lines with times already read


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines of `target` in [start_ns, end_ns) that may be missing. Never silent."""

    target: Target
    start_ns: int
    end_ns: int
    reason: GapReason
    detail: str = ""

    def overlaps_or_touches(self, other: "Gap") -> bool:
        return self.start_ns <= other.end_ns and other.start_ns <= self.end_ns

    def extended_by(self, other: "Gap") -> "Gap":
        start_ns, end_ns = min(self.start_ns, other.start_ns), max(self.end_ns, other.end_ns)
        return replace(self, start_ns=start_ns, end_ns=end_ns)


@dataclass(frozen=True, slots=True)
class Window:
    """[start_ns, end_ns): half-open, here and everywhere else."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A target in a list that was asked for at `seen_s`, which is monotonic."""

    workload: Workload
    seen_s: float


Sighted = Callable[[], Sighting | None]
"""The target's last sighting; None when the last list did not have it, or there is no list."""
