"""What one resource group has of one kind, look by look: what is new, and from when. Pure.

Laws of this file:
1. What was created, or came to be meant, between two looks is found by the second one, also
   when it has ended by then, and also when this process did not live in between.
2. Nothing is found twice: neither what is found already, nor what is retired, unless list
   after list says that it lives: it was stopped and started again, or denied by mistake.
3. A single list that lacks something says nothing: it may have been in the middle of a change.
4. What an earlier process had not read to its end is listed, or lost: list after list says so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailer.discovery.selector import Selector
from tailer.model import Kind, Status, Target, Workload
from tailer.timestamp import NS_PER_S, parse_ns

# A list may be behind the truth, so what it should have shown may be news to the next one.
_LAG_NS = 60 * NS_PER_S
# A line is stamped by another clock than its workload's creation, which has whole seconds.
_CLOCKS_NS = 5 * NS_PER_S
_SHORTEST_MEMORY_NS = 3600 * NS_PER_S
_LOOKS_TO_BE_LOST = 3  # one list may be in the middle of a change, two its echo


class StoredTargets(Protocol):
    """What earlier looks have left behind, also those of earlier processes."""

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None: ...

    def is_known(self, target: Target) -> bool:
        """Whether it has a place."""

    def is_retired(self, target: Target) -> bool: ...

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]: ...

    def unfinished(self, resource_group: str, kind: Kind) -> Mapping[Target, int]:
        """Up to when those are read that have a place and are not retired."""


@dataclass(frozen=True, slots=True)
class Changes:
    """`found` are to be followed from these times on; `forgettable` need no memory any more.

    `lost` were read up to these times by an earlier process, and are there no more.
    """

    found: Mapping[Target, int]
    forgettable: tuple[Target, ...]
    lost: Mapping[Target, int]


@dataclass(frozen=True, slots=True)
class _Past:
    """What happened from `since_ns` on may not have been seen.

    What does not say when it was created counts as created at `timeless_ns`.
    """

    since_ns: int
    timeless_ns: int

    @classmethod
    def since_look(cls, look_ns: int) -> "_Past":
        """A workload that is timeless may well be new."""
        return cls(look_ns - _LAG_NS, look_ns - _LAG_NS)

    def created_ns(self, workload: Workload) -> int:
        return _ns(workload.created_at) or self.timeless_ns

    def changed_ns(self, workload: Workload) -> int:
        """When anything last happened to it, as far as it says."""
        times = (workload.start_time, workload.completion_time, workload.modified_at)
        return max(self.created_ns(workload), *map(_ns, times))


@dataclass(slots=True)
class _Sight:
    status: Status
    last_ns: int
    is_found: bool = False


@dataclass(slots=True)
class _Miss:
    """So many lists have lacked a target, the first of them at `since_ns`."""

    since_ns: int
    looks: int = 0

    def is_believed(self, *, now_ns: int) -> bool:
        return self.looks >= _LOOKS_TO_BE_LOST and now_ns - self.since_ns >= _LAG_NS


class KnownTargets:
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
        self._alive_ns: dict[Target, int] = {}  # retired ones, since when lists say they live
        self._left_behind: dict[Target, _Miss] | None = None  # None before the first look

    @property
    def needs_all(self) -> bool:
        """Whether the next list is to have also what is not meant: it may have been once."""
        return self._left_behind is None or bool(self._left_behind)

    def compare(
        self,
        listed: Sequence[Workload],
        remembered: StoredTargets,
        *,
        now_ns: int,
        watched_since_ns: int,
    ) -> Changes:
        """With a complete list. `now_ns` is the service's clock when it was asked for.

        `watched_since_ns` is when somebody first wanted to look: it may have been denied.
        """
        lost = self._lost(listed, remembered, now_ns=now_ns)
        last_ns = remembered.last_listing_ns(self._resource_group, self._kind)
        past = _Past(watched_since_ns, 0) if last_ns is None else _Past.since_look(last_ns)
        found: dict[Target, int] = {}
        self._alive_ns = {
            one.target: self._alive_ns.get(one.target, now_ns)
            for one in listed
            if remembered.is_retired(one.target) and not one.status.is_terminal
        }
        for workload in listed:
            target = workload.target
            before = self._sights.get(target)
            is_retired = remembered.is_retired(target)
            is_found = before is not None and before.is_found and not is_retired
            if not is_found and (not is_retired or self._is_back(target, now_ns=now_ns)):
                start_ns = self._start_ns(workload, before, past, now_ns=now_ns)
                if remembered.is_known(target):  # then its place goes before `start_ns`
                    is_found = any(one.describes(workload) for one in self._selectors)
                else:
                    is_found = self._is_news(workload, before, past) and not self._is_past(
                        workload, start_ns
                    )
                if is_found:
                    found[target] = start_ns
            self._sights[target] = _Sight(workload.status, now_ns, is_found)
        return Changes(found, self._forgettable(remembered, now_ns=now_ns), lost)

    def _lost(
        self, listed: Sequence[Workload], remembered: StoredTargets, *, now_ns: int
    ) -> Mapping[Target, int]:
        """Those left behind by an earlier process that no list of this one has ever shown.

        Whoever was listed once is followed, or not meant any more.
        """
        if self._left_behind is None:
            unfinished = remembered.unfinished(self._resource_group, self._kind)
            self._left_behind = {target: _Miss(now_ns) for target in unfinished}
        for workload in listed:
            self._left_behind.pop(workload.target, None)
        for miss in self._left_behind.values():
            miss.looks += 1
        lost = [one for one, miss in self._left_behind.items() if miss.is_believed(now_ns=now_ns)]
        if not lost:
            return {}
        for target in lost:
            del self._left_behind[target]
        unfinished = remembered.unfinished(self._resource_group, self._kind)
        return {target: unfinished[target] for target in lost if target in unfinished}

    def _is_back(self, target: Target, *, now_ns: int) -> bool:
        """Whether it lives although it is retired, for longer than a list may be wrong."""
        return now_ns - self._alive_ns.get(target, now_ns) >= _LAG_NS

    def _is_news(self, workload: Workload, before: _Sight | None, past: _Past) -> bool:
        if before is not None:
            since: Status | None = before.status
        elif past.changed_ns(workload) < past.since_ns:
            since = workload.status  # nobody knows more of its past
        elif past.created_ns(workload) < past.since_ns:
            since = Status.UNKNOWN
        else:
            since = None
        return any(one.has_matched(workload, since=since) for one in self._selectors)

    def _start_ns(
        self, workload: Workload, before: _Sight | None, past: _Past, *, now_ns: int
    ) -> int:
        """Where to begin: at its creation, unless that is further back than is wanted.

        Never so late that what happened since the last look is left out.
        """
        created_ns, earliest_ns = past.created_ns(workload), now_ns - self._backfill_ns
        if created_ns >= past.since_ns:
            return created_ns - _CLOCKS_NS
        if before is not None or past.changed_ns(workload) >= past.since_ns:
            earliest_ns = min(earliest_ns, past.since_ns)
        return max(created_ns - _CLOCKS_NS, earliest_ns)

    def _is_past(self, workload: Workload, start_ns: int) -> bool:
        """Whether it ended so long ago that it has no line to offer."""
        return 0 < ended_ns(workload) < start_ns - self._lateness_ns

    def _forgettable(self, remembered: StoredTargets, *, now_ns: int) -> tuple[Target, ...]:
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


def ended_ns(workload: Workload) -> int:
    """0 when it has not ended, or does not say when."""
    if not workload.status.is_terminal:
        return 0
    return _ns(workload.completion_time) or _ns(workload.modified_at)


def _ns(text: str) -> int:
    """0 where the service said no time, or none that can be understood."""
    try:
        return parse_ns(text) if text else 0
    except ValueError:
        return 0
