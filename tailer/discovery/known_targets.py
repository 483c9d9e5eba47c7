"""Compare a listing of one kind in one resource group with the known targets. Pure.

Laws of this file:
1. A target that was created, or began to match, between two listings is found by the second
   one, even if it has ended by then, and even if this process did not run in between.
2. No target is found twice, active or retired, unless several listings show a retired target
   alive: it was stopped and restarted, or its 404 was wrong.
3. A single listing that lacks a target proves nothing: it may be from the middle of a change.
4. A target that an earlier process did not finish is listed again, or is lost after three
   listings without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tailer.discovery.selector import Selector
from tailer.model import Kind, Status, Target, Workload
from tailer.spool.targets import TargetRegistry
from tailer.timestamp import NS_PER_S, ns_or_none

# A listing may be so far behind, so the next one may show older changes for the first time.
_LAG_NS = 60 * NS_PER_S
# Lines are stamped by another clock than the creation time, which has whole seconds.
_CLOCK_SKEW_NS = 5 * NS_PER_S
_MIN_MEMORY_NS = 3600 * NS_PER_S
_LISTINGS_UNTIL_LOST = 3  # one may be from the middle of a change, a second one from its cache


@dataclass(frozen=True, slots=True)
class Changes:
    """Follow `found` from these times on. `forgettable` need not be stored any longer.

    `lost` were read up to these times by an earlier process, and are not listed anymore.
    """

    found: Mapping[Target, int]
    forgettable: tuple[Target, ...]
    lost: Mapping[Target, int]


@dataclass(frozen=True, slots=True)
class _Past:
    """Changes before `since_ns` were seen by an earlier listing.

    A workload without a creation time counts as created at `undated_ns`.
    """

    since_ns: int
    undated_ns: int

    def created_ns(self, workload: Workload) -> int:
        return ns_or_none(workload.created_at) or self.undated_ns

    def changed_ns(self, workload: Workload) -> int:
        """The latest time that the workload states."""
        times = (workload.start_time, workload.completion_time, workload.modified_at)
        return max(self.created_ns(workload), *(ns_or_none(time) or 0 for time in times))


@dataclass(slots=True)
class _Seen:
    status: Status
    last_ns: int
    is_found: bool


@dataclass(slots=True)
class _Missing:
    """Number of listings without a target; the first of these was at `since_ns`."""

    since_ns: int
    listings: int = 0

    def is_lost(self, *, now_ns: int) -> bool:
        return self.listings >= _LISTINGS_UNTIL_LOST and now_ns - self.since_ns >= _LAG_NS


@dataclass(slots=True, kw_only=True)
class KnownTargets:
    """Its size is bounded by the workloads of the listings of the last hours."""

    resource_group: str
    kind: Kind
    selectors: Sequence[Selector]
    backfill_ns: int
    lateness_ns: int
    _seen: dict[Target, _Seen] = field(init=False, default_factory=dict)
    # Retired targets: since when no listing has them, and since when listings show them alive.
    _missing_since_ns: dict[Target, int] = field(init=False, default_factory=dict)
    _alive_since_ns: dict[Target, int] = field(init=False, default_factory=dict)
    _unfinished: dict[Target, _Missing] | None = None  # None before the first listing

    @property
    def needs_all(self) -> bool:
        """Whether the next listing must be complete: unfinished targets may not match now."""
        return self._unfinished is None or bool(self._unfinished)

    def compare(
        self,
        listed: Sequence[Workload],
        stored: TargetRegistry,
        *,
        now_ns: int,
        watched_since_ns: int,
    ) -> Changes:
        """Take a complete listing, requested at `now_ns` of the service's clock.

        `watched_since_ns` is when the scanner started: earlier listings may have been denied.
        """
        lost = self._lost(listed, stored, now_ns=now_ns)
        last_ns = stored.last_listing_ns(self.resource_group, self.kind)
        past = _Past(watched_since_ns, 0)
        if last_ns is not None:  # an undated workload may be new
            past = _Past(last_ns - _LAG_NS, last_ns - _LAG_NS)
        found: dict[Target, int] = {}
        self._alive_since_ns = {
            one.target: self._alive_since_ns.get(one.target, now_ns)
            for one in listed
            if stored.is_retired(one.target) and not one.status.is_terminal
        }
        for workload in listed:
            target = workload.target
            before = self._seen.get(target)
            is_retired = stored.is_retired(target)
            is_found = before is not None and before.is_found and not is_retired
            if not is_found and (not is_retired or self._is_back(target, now_ns=now_ns)):
                start_ns = self._start_ns(workload, before, past, now_ns=now_ns)
                if stored.is_known(target):  # its stored position takes precedence
                    is_found = any(one.describes(workload) for one in self.selectors)
                else:
                    is_over = 0 < ended_ns(workload) < start_ns - self.lateness_ns
                    is_found = not is_over and self._is_new(workload, before, past)
                if is_found:
                    found[target] = start_ns
            self._seen[target] = _Seen(workload.status, now_ns, is_found)
        return Changes(found, self._forgettable(stored, now_ns=now_ns), lost)

    def _lost(
        self, listed: Sequence[Workload], stored: TargetRegistry, *, now_ns: int
    ) -> Mapping[Target, int]:
        """Targets that an earlier process did not finish and that this one never found listed.

        A target that was listed once is followed, or does not match anymore.
        """
        unfinished = stored.unfinished(self.resource_group, self.kind) if self.needs_all else {}
        if self._unfinished is None:
            self._unfinished = {target: _Missing(now_ns) for target in unfinished}
        for workload in listed:
            self._unfinished.pop(workload.target, None)
        for missing in self._unfinished.values():
            missing.listings += 1
        lost = [one for one, it in self._unfinished.items() if it.is_lost(now_ns=now_ns)]
        for target in lost:
            del self._unfinished[target]
        return {target: unfinished[target] for target in lost if target in unfinished}

    def _is_back(self, target: Target, *, now_ns: int) -> bool:
        """Whether a retired target is listed as alive for longer than a listing may lag."""
        return now_ns - self._alive_since_ns.get(target, now_ns) >= _LAG_NS

    def _is_new(self, workload: Workload, before: _Seen | None, past: _Past) -> bool:
        """Whether it matches now, or did at some time since the last listing."""
        if before is not None:
            since: Status | None = before.status
        elif past.changed_ns(workload) < past.since_ns:
            since = workload.status  # an earlier listing showed it in this status
        elif past.created_ns(workload) < past.since_ns:
            since = Status.UNKNOWN
        else:
            since = None
        return any(one.has_matched(workload, since=since) for one in self.selectors)

    def _start_ns(
        self, workload: Workload, before: _Seen | None, past: _Past, *, now_ns: int
    ) -> int:
        """The creation time, or the backfill limit if that is later.

        It is never later than the last listing if the workload has changed since.
        """
        created_ns, earliest_ns = past.created_ns(workload), now_ns - self.backfill_ns
        if created_ns >= past.since_ns:
            return created_ns - _CLOCK_SKEW_NS
        if before is not None or past.changed_ns(workload) >= past.since_ns:
            earliest_ns = min(earliest_ns, past.since_ns)
        return max(created_ns - _CLOCK_SKEW_NS, earliest_ns)

    def _forgettable(self, stored: TargetRegistry, *, now_ns: int) -> tuple[Target, ...]:
        # Older targets have ended too long ago to be read if they are ever listed again.
        memory_ns = max(_MIN_MEMORY_NS, self.backfill_ns + self.lateness_ns) + _LAG_NS
        limit_ns = now_ns - memory_ns
        self._seen = {
            target: seen for target, seen in self._seen.items() if seen.last_ns > limit_ns
        }
        self._missing_since_ns = {
            target: self._missing_since_ns.get(target, now_ns)
            for target in stored.retired(self.resource_group, self.kind)
            if target not in self._seen or self._seen[target].last_ns < now_ns
        }
        return tuple(
            one for one, since_ns in self._missing_since_ns.items() if since_ns <= limit_ns
        )


def ended_ns(workload: Workload) -> int:
    """0 if the workload has not ended, or does not state when."""
    if not workload.status.is_terminal:
        return 0
    return ns_or_none(workload.completion_time) or ns_or_none(workload.modified_at) or 0
