"""List periodically, report new and vanished targets, record the health of each listing.

One task per kind and resource group: a listing that fails or is forbidden delays no other.
The service never filters by status: a target that started and ended between two listings
is found only in a status that the selector may not name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

import anyio
import structlog

from tailer.backoff import OutageNotice, RetryPause
from tailer.clock import Clock
from tailer.discovery.known_targets import KnownTargets
from tailer.discovery.selector import Selector
from tailer.discovery.survey import (
    ListSource,
    SelectorReports,
    kinds_in,
    means_all_groups,
    named_groups,
)
from tailer.errors import ApiError, AuthError, TransientApiError
from tailer.health.health import Health
from tailer.model import NO_FILTER, Gap, GapReason, Kind, ListFilter, Sighting, Target, Workload
from tailer.spool.contract import Spool
from tailer.spool.targets import Listing
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_GROUPS = "resource groups"
_GROUPS_INTERVAL_S = 60.0  # resource groups change with projects, not with jobs
Listed = TypeVar("Listed")


@dataclass(frozen=True, slots=True)
class Found:
    """A target to follow from `start_ns` on; a position in the spool takes precedence."""

    workload: Workload
    start_ns: int


OnFound: TypeAlias = Callable[[Found], None]
OnLost: TypeAlias = Callable[[Gap], Awaitable[None]]


async def _ignore(_: Gap) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Scanner:
    """Used for one `watch`. Targets found and times of listings are stored in the spool.

    Errors: of the first request: AuthError, and UnreachableError where the source raises
    it. Later errors of the service are logged once, and the request is retried. SinkError
    of the spool.
    """

    selectors: Sequence[Selector]
    source: ListSource
    spool: Spool
    clock: Clock
    health: Health
    backfill_ns: int
    lateness_ns: int
    interval_s: float
    _sightings: dict[tuple[str, Kind], Mapping[Target, Sighting]] = field(
        init=False, default_factory=dict
    )
    _denied: dict[str, set[Kind | None]] = field(init=False, default_factory=dict)
    _reports: SelectorReports = field(init=False)
    _watched_since_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._reports = SelectorReports(self.selectors)
        self._watched_since_s = self.clock.monotonic_s()

    def register(self) -> None:
        """Create the health records of all listings: tailer is not ready before they are done."""
        for group in named_groups(self.selectors):
            self._register_group(group)
        if means_all_groups(self.selectors):
            self.health.of_listing(_GROUPS)

    def _register_group(self, group: str) -> None:
        for kind in kinds_in(group, self.selectors):
            self.health.of_listing(_listing_name(kind, group))

    def sighting(self, target: Target) -> Sighting | None:
        """`target` in the last listing of its resource group; None if it is not followed."""
        return self._sightings.get((target.resource_group, target.kind), {}).get(target)

    async def watch(self, on_found: OnFound, on_lost: OnLost = _ignore) -> None:
        """List until canceled. `on_found` is called once per target.

        The next process reports a target again unless it is retired. `on_lost` gets those
        targets that an earlier process did not finish and that are no longer listed.
        """
        async with anyio.create_task_group() as scanning:
            scopes: dict[str, anyio.CancelScope] = {}

            async def watch_group(group: str) -> None:
                with scopes[group]:
                    async with anyio.create_task_group() as watching:
                        for kind in kinds_in(group, self.selectors):
                            watching.start_soon(self._watch_kind, group, kind, on_found, on_lost)

            while True:
                groups = await self._groups()
                if groups is not None:
                    added = [group for group in dict.fromkeys(groups) if group not in scopes]
                    self._reports.wait_for(added)
                    for group in added:
                        scopes[group] = anyio.CancelScope()
                        scanning.start_soon(watch_group, group)
                    for group in scopes.keys() - set(groups):
                        scopes.pop(group).cancel()
                if not means_all_groups(self.selectors):
                    return
                await self.clock.sleep(_GROUPS_INTERVAL_S)

    async def _groups(self) -> Sequence[str] | None:
        """All groups to watch; None if the service does not list them."""
        named = named_groups(self.selectors)
        if not means_all_groups(self.selectors):
            return named
        request, notice = self.source.resource_groups, self._notice(_GROUPS)
        pause_s = max(self.interval_s, RetryPause.LAST_S)
        try:
            listed = await self._request(_GROUPS, request, notice, pause_s=pause_s)
        except (ApiError, AuthError) as error:
            self._deny("*", None, error)
            return None
        self._allow("*", None)
        groups = (*named, *listed)
        for group in groups:
            self._register_group(group)
        current = {_listing_name(kind, group) for group in groups for kind in Kind} | {_GROUPS}
        for what in self.health.listings.keys() - current:
            del self.health.listings[what]
        return groups

    async def _watch_kind(self, group: str, kind: Kind, on_found: OnFound, on_lost: OnLost) -> None:
        known_targets = KnownTargets(
            resource_group=group,
            kind=kind,
            selectors=[one for one in self.selectors if one.is_for(group, kind)],
            backfill_ns=self.backfill_ns,
            lateness_ns=self.lateness_ns,
        )
        what = _listing_name(kind, group)
        notice = self._notice(what)
        retry_pause = RetryPause()
        while True:
            began_s = self.clock.monotonic_s()
            filter_by = _filter(known_targets)
            request = partial(self.source.list, kind, group, filter_by)
            try:
                listed = await self._request(what, request, notice, pause_s=self.interval_s)
            except (ApiError, AuthError) as error:
                self._deny(group, kind, error)
                await self.clock.sleep(retry_pause.pause_s())
                continue
            retry_pause = RetryPause()
            self._allow(group, kind)
            for gap in await self._take(known_targets, listed, began_s, on_found):
                await on_lost(gap)
            await self.clock.sleep(self.interval_s)

    def _notice(self, what: str) -> OutageNotice:
        fields = {"what": what}
        return OutageNotice("list_failed", "list_recovered", fields=fields, clock=self.clock)

    async def _request(
        self,
        what: str,
        request: Callable[..., Awaitable[Listed]],
        notice: OutageNotice,
        *,
        pause_s: float,
    ) -> Listed:
        """Send `request` and record its health. After a response it is sent again in `pause_s`."""
        health = self.health.of_listing(what)

        def on_retry(error: TransientApiError, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            health.fail(error.message, now_s=now_s, retry_in_s=retry_in_s)
            notice(error, retry_in_s)

        health.activity.start("asking the service", now_s=self.clock.monotonic_s())
        try:
            listed = await request(on_retry=on_retry)
        except (ApiError, AuthError) as error:
            now_s = self.clock.monotonic_s()
            health.answered(error.message, now_s=now_s, pause_s=RetryPause.LAST_S)
            raise
        health.answered(now_s=self.clock.monotonic_s(), pause_s=pause_s)
        notice.end()
        return listed

    async def _take(
        self,
        known_targets: KnownTargets,
        listed: Sequence[Workload],
        began_s: float,
        on_found: OnFound,
    ) -> Sequence[Gap]:
        """Store a listing and report new targets; returns a gap for each lost one."""
        group, kind = known_targets.resource_group, known_targets.kind
        now_ns = self.source.server_now_ns()
        assert now_ns is not None, "the service has just answered"
        now_s = self.clock.monotonic_s()
        # A target created before the request was sent is listed; a later one may be.
        asked_ns = now_ns - round((now_s - began_s) * NS_PER_S)
        since_ns = now_ns - round((now_s - self._watched_since_s) * NS_PER_S)
        changes = known_targets.compare(
            listed, self.spool.targets, now_ns=asked_ns, watched_since_ns=since_ns
        )
        await self.spool.record_listing(
            Listing(group, kind, asked_ns, changes.found, changes.forgettable)
        )
        targets = self.spool.targets
        self._sightings[(group, kind)] = {
            one.target: Sighting(one, began_s)
            for one in listed
            if targets.is_known(one.target) and not targets.is_retired(one.target)
        }
        self._reports.record(group, kind, listed)
        for workload in listed:
            if workload.target in changes.found:
                on_found(Found(workload, changes.found[workload.target]))
        detail = "it was deleted while tailer was not running"
        return [
            Gap(target, read_ns, max(read_ns, now_ns), GapReason.GONE, detail)
            for target, read_ns in changes.lost.items()
        ]

    def _deny(self, group: str, kind: Kind | None, error: ApiError | AuthError) -> None:
        """Log the first refusal of a group. Before any response of the service, raise it."""
        if self.source.server_now_ns() is None:
            raise error
        kinds = self._denied.setdefault(group, set())
        if not kinds:
            log.error("resource_group_denied", resource_group=group, error=str(error))
        kinds.add(kind)
        if kind is not None:
            self._reports.record(group, kind, ())

    def _allow(self, group: str, kind: Kind | None) -> None:
        kinds = self._denied.get(group, set())
        if kind in kinds:
            kinds.remove(kind)
            if not kinds:
                log.info("resource_group_available", resource_group=group)


def _listing_name(kind: Kind, resource_group: str) -> str:
    return f"{kind}s in {resource_group}"


def _filter(known_targets: KnownTargets) -> ListFilter:
    """None for the first listing, which is summarized; later what all selectors share."""
    if known_targets.needs_all:
        return NO_FILTER
    scenarios = {one.scenarios for one in known_targets.selectors}
    executables = {one.executables for one in known_targets.selectors}
    only_scenario = scenarios.pop() if len(scenarios) == 1 else ()
    return ListFilter(
        scenario_id=only_scenario[0] if len(only_scenario) == 1 else "",
        executable_ids=executables.pop() if len(executables) == 1 else (),
    )
