"""Values that travel through the flow: Target, Workload, Entry, Page, Window, Batch, Gap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

MAX_TOP = 5000  # the service's largest `$top`
DEFAULT_TOP = 1000  # its page size without `$top`


class Kind(StrEnum):
    DEPLOYMENT = "deployment"
    EXECUTION = "execution"


class Order(StrEnum):
    """Order of a page by timestamp. The order of equal timestamps is undocumented."""

    ASC = "asc"
    DESC = "desc"


class Status(StrEnum):
    """Status of a workload. Every object starts as UNKNOWN, so that is not terminal."""

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
    """One deployment or execution. The id does not show the kind."""

    resource_group: str
    kind: Kind
    id: str

    @property
    def name(self) -> str:
        """`deployment/d1a2…`, as on the command line."""
        return f"{self.kind}/{self.id}"


Text: TypeAlias = str | UnsetType | None
"""A field of an entry: its text, an explicit null, or UNSET if it is missing."""


class Entry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One log line as received; encoding it restores the JSON that was decoded.

    Every field may be missing. `timestamp` keeps the original characters, because
    `datetime` stops at microseconds. `msg` keeps its trailing newline.
    """

    timestamp: Text = UNSET
    pod: Text = UNSET
    container: Text = UNSET
    stream: Text = UNSET
    msg: Text = UNSET

    @property
    def key(self) -> tuple[Text, Text, Text, Text]:
        """Two lines with the same time and key are twins, whatever the digits of their times."""
        return (self.pod, self.container, self.stream, self.msg)


def text_bytes(entries: Sequence[Entry]) -> int:
    """Size of the messages of these lines as UTF-8."""
    texts = (entry.msg for entry in entries if isinstance(entry.msg, str))
    return sum(
        len(text) if text.isascii() else len(text.encode(errors="surrogatepass")) for text in texts
    )


class ExtendedEntry(Entry, frozen=True, gc=False, forbid_unknown_fields=False):
    """An entry with unknown fields. `extra` is their JSON object, in the order received."""

    extra: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Page:
    """One response of the logs endpoint, in the order received.

    `top` is the `$top` that the service applied: fewer entries mean that no others match.
    `server_now_ns` was the service's clock when the request was sent, so never later than
    the time at which the service read its store.
    """

    entries: Sequence[Entry]
    top: int
    server_now_ns: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Fresh lines of one target, in order of time, as stored in the spool.

    `position` ascends within the spool. `times_ns` has the time that the cursor gave each
    entry, because an entry's own timestamp may be missing.
    """

    position: int
    target: Target
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A deployment or execution as listed by the service. Times as received, RFC 3339.

    `status_details` is free-form JSON, and only part of a response for a single object.
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
    status: Status | None = None


NO_FILTER = ListFilter()


class GapReason(StrEnum):
    SATURATED = "saturated"  # more lines in one instant than any query returns
    LATENESS_SHRUNK = "lateness_shrunk"  # too many remembered lines: late ones may be missed
    RETENTION = "retention"  # the service has deleted the lines
    GONE = "gone"  # the target was deleted before it was read completely
    SINK_DROPPED = "sink_dropped"  # when_full = "drop_oldest"
    SINK_REFUSED = "sink_refused"  # a server rejects a message on every retry
    FILE_TRUNCATED = "file_truncated"  # another program has truncated a file
    STATE_LOST = "state_lost"  # the spool was damaged
    CLOCK_SET_BACK = "clock_set_back"  # the service dates new lines before the watermark


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines of `target` in [start_ns, end_ns) may be missing. Every gap is reported."""

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
    """A workload in a listing that was requested at `seen_s`, which is monotonic."""

    workload: Workload
    seen_s: float


Sighted = Callable[[], Sighting | None]
"""Returns the target's sighting in the last listing, or None."""
