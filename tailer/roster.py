"""What one resource group has of one kind, look by look: what is new, and from when. Pure.

Laws of this file:
1. What was created, or came to be meant, between two looks is found by the second one, also
   when it has ended by then, and also when this process did not live in between.
2. Nothing is found twice: neither what is found already, nor what is retired.
3. A single list that lacks something says nothing: it may have been in the middle of a change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailer.model import Kind, Status, Target, Workload
from tailer.selection import Selector
from tailer.timestamp import NS_PER_S, parse_ns

# A list may be behind the truth, so what it should have shown may be news to the next one.
_LAG_NS = 60 * NS_PER_S
# A line is stamped by another clock than its workload's creation, which has whole seconds.
_CLOCKS_NS = 5 * NS_PER_S
_SHORTEST_MEMORY_NS = 3600 * NS_PER_S


class Remembered(Protocol):
    """What earlier looks have left behind, also those of earlier processes."""

    def last_look_ns(self, resource_group: str, kind: Kind) -> int | None: ...

    def is_known(self, target: Target) -> bool:
        """Whether it has a place."""

    def is_retired(self, target: Target) -> bool: ...

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]: ...


@dataclass(frozen=True, slots=True)
class Changes:
    """`found` are to be followed from these times on; `forgettable` need no memory any more."""

    found: Mapping[Target, int]
    forgettable: tuple[Target, ...]


@dataclass(slots=True)
class _Sight:
    status: Status
    last_ns: int
    is_found: bool = False


class Roster:
    """Holds as many workloads as the service lists, and those it listed of late."""

    def __init__(
        self,
        resource_group: str,
        kind: Kind,
        selectors: Sequence[Selector],
        *,
        backfill_ns: int,
        lateness_ns: int,
    ) -> None:
        self._resource_group = resource_group
        self._kind = kind
        self._selectors = selectors
        self._backfill_ns = backfill_ns
        self._lateness_ns = lateness_ns
        # By then, whatever ended before is too old to be read, should it ever be listed again.
        self._memory_ns = max(_SHORTEST_MEMORY_NS, backfill_ns + lateness_ns) + _LAG_NS
        self._sights: dict[Target, _Sight] = {}
        self._missed_ns: dict[Target, int] = {}  # retired ones, since when the list lacks them

    def compare(
        self, listed: Sequence[Workload], remembered: Remembered, *, now_ns: int
    ) -> Changes:
        """With a complete list. `now_ns` is the service's clock when it was asked for."""
        since_ns = remembered.last_look_ns(self._resource_group, self._kind)
        since_ns = None if since_ns is None else since_ns - _LAG_NS
        found: dict[Target, int] = {}
        for workload in listed:
            target = workload.target
            before = self._sights.get(target)
            is_found = before is not None and before.is_found
            if not is_found and not remembered.is_retired(target):
                start_ns = self._start_ns(workload, before, since_ns, now_ns=now_ns)
                if remembered.is_known(target):
                    is_found = any(one.describes(workload) for one in self._selectors)
                    start_ns = now_ns  # its place goes before
                else:
                    is_found = self._is_news(workload, before, since_ns) and not self._is_past(
                        workload, start_ns
                    )
                if is_found:
                    found[target] = start_ns
            self._sights[target] = _Sight(workload.status, now_ns, is_found)
        return Changes(found, self._forgettable(remembered, now_ns=now_ns))

    def _is_news(self, workload: Workload, before: _Sight | None, since_ns: int | None) -> bool:
        if before is not None:
            since: Status | None = before.status
        elif since_ns is None or _changed_ns(workload, since_ns) < since_ns:
            since = workload.status  # nobody knows more of its past
        elif _created_ns(workload, since_ns) < since_ns:
            since = Status.UNKNOWN
        else:
            since = None
        return any(one.has_matched(workload, since=since) for one in self._selectors)

    def _start_ns(
        self, workload: Workload, before: _Sight | None, since_ns: int | None, *, now_ns: int
    ) -> int:
        """Where to begin: at its creation, unless that is further back than is wanted.

        Never so late that what happened since the last look is left out.
        """
        earliest_ns = now_ns - self._backfill_ns
        created_ns = _created_ns(workload, since_ns)
        if since_ns is not None:
            if created_ns >= since_ns:
                return created_ns - _CLOCKS_NS
            if before is not None or _changed_ns(workload, since_ns) >= since_ns:
                earliest_ns = min(earliest_ns, since_ns)
        return max(created_ns - _CLOCKS_NS, earliest_ns)

    def _is_past(self, workload: Workload, start_ns: int) -> bool:
        """Whether it ended so long ago that it has no line to offer."""
        if not workload.status.is_terminal:
            return False
        ended_ns = _ns(workload.completion_time) or _ns(workload.modified_at)
        return 0 < ended_ns < start_ns - self._lateness_ns

    def _forgettable(self, remembered: Remembered, *, now_ns: int) -> tuple[Target, ...]:
        forgotten_ns = now_ns - self._memory_ns
        self._sights = {
            target: sight for target, sight in self._sights.items() if sight.last_ns > forgotten_ns
        }
        self._missed_ns = {
            target: self._missed_ns.get(target, now_ns)
            for target in remembered.retired(self._resource_group, self._kind)
            if target not in self._sights or self._sights[target].last_ns < now_ns
        }
        return tuple(
            target for target, missed_ns in self._missed_ns.items() if missed_ns <= forgotten_ns
        )


def _created_ns(workload: Workload, since_ns: int | None) -> int:
    """One that does not say so may well have been created since the last look."""
    return _ns(workload.created_at) or since_ns or 0


def _changed_ns(workload: Workload, since_ns: int) -> int:
    """When anything last happened to it, as far as it says."""
    times = (workload.start_time, workload.completion_time, workload.modified_at)
    return max(_created_ns(workload, since_ns), *map(_ns, times))


def _ns(text: str) -> int:
    """0 where the service said no time, or none that can be understood."""
    try:
        return parse_ns(text) if text else 0
    except ValueError:
        return 0
