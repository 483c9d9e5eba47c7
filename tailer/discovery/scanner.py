"""List periodically, report new and vanished targets, note health.

Looks, again and again, what there is, and tells of every target that is meant.

Each kind in each resource group is looked at by a task of its own: one that fails, or is
forbidden, holds up no other. Never by status: what has come and gone between two looks
is only there in a status that nobody asked for. Long, because asking, refusing, admitting
and comparing are one conversation with one list, over one piece of state.

A source of lists whose every question is noted, so that a scanner that hangs can be told.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import anyio
import structlog

from tailer.backoff import OUTAGE_S, OnRetry, RetryPause
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
from tailer.health.parts import ListingHealth
from tailer.model import (
    NO_FILTER,
    Gap,
    GapReason,
    Kind,
    ListFilter,
    Sighting,
    Target,
    Workload,
)
from tailer.spool.contract import Spool
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_GROUPS_INTERVAL_S = 60.0  # resource groups come and go with projects, not with jobs


@dataclass(frozen=True, slots=True)
class Found:
    """A target to follow from `start_ns` on, where the spool knows no better place."""

    workload: Workload
    start_ns: int


OnFound: TypeAlias = Callable[[Found], None]
OnLost: TypeAlias = Callable[[Gap], Awaitable[None]]


async def _leave(_: Gap) -> None:
    pass


class Scanner:
    """Made for one `watch`. What it has found, and when it looked, is stored in the spool.

    Errors: of the very first contact: AuthError, and UnreachableError where the source
    raises it; later none of the service's, which are logged once and tried again.
    SinkError of the spool.
    """

    def __init__(
        self,
        selectors: Sequence[Selector],
        *,
        source: ListSource,
        spool: Spool,
        clock: Clock,
        backfill_ns: int,
        lateness_ns: int,
        interval_s: float,
    ) -> None:
        self._selectors = selectors
        self._source = source
        self._spool = spool
        self._clock = clock
        self._backfill_ns = backfill_ns
        self._lateness_ns = lateness_ns
        self._interval_s = interval_s
        self._sightings: dict[tuple[str, Kind], Mapping[Target, Sighting]] = {}
        self._refused: dict[str, set[Kind | None]] = {}
        self._first_looks = SelectorReports(selectors)
        self._watched_since_s = clock.monotonic_s()

    def sighting(self, target: Target) -> Sighting | None:
        """`target` in the last list of its resource group, if it is followed and was in it."""
        seen = self._sightings.get((target.resource_group, target.kind), {})
        return seen.get(target)

    async def watch(self, on_found: OnFound, on_lost: OnLost = _leave) -> None:
        """Look, until canceled. Each target is told of once.

        The next process tells of it again, as long as it is not retired. `on_lost` is told
        of those that an earlier one left unfinished, and that are there no more, whether or
        not somebody else follows them.
        """
        async with anyio.create_task_group() as looking:
            scopes: dict[str, anyio.CancelScope] = {}

            async def watch_group(group: str) -> None:
                with scopes[group]:
                    async with anyio.create_task_group() as watching:
                        for kind in kinds_in(group, self._selectors):
                            watching.start_soon(self._watch_kind, group, kind, on_found, on_lost)

            while True:
                groups = await self._groups()
                for group in dict.fromkeys(groups or ()):
                    if group not in scopes:
                        scopes[group] = anyio.CancelScope()
                        self._first_looks.wait_for(group)
                        looking.start_soon(watch_group, group)
                if groups is not None:
                    for group in scopes.keys() - set(groups):
                        scopes.pop(group).cancel()
                    self._first_looks.begin()
                if not means_all_groups(self._selectors):
                    return
                await self._clock.sleep(_GROUPS_INTERVAL_S)

    async def _groups(self) -> Sequence[str] | None:
        """All that are to be watched; None when the service does not say."""
        named = named_groups(self._selectors)
        if not means_all_groups(self._selectors):
            return named
        trouble = _Trouble(self._clock, what="resource groups")
        try:
            listed = await self._source.resource_groups(on_retry=trouble)
        except (ApiError, AuthError) as error:
            self._refuse("*", None, error)
            return None
        trouble.end()
        self._admit("*", None)
        return (*named, *listed)

    async def _watch_kind(self, group: str, kind: Kind, on_found: OnFound, on_lost: OnLost) -> None:
        known_targets = KnownTargets(
            group,
            kind,
            [one for one in self._selectors if one.is_for(group, kind)],
            backfill_ns=self._backfill_ns,
            lateness_ns=self._lateness_ns,
        )
        trouble = _Trouble(self._clock, what=f"{kind}s in {group}")
        retry_pause = RetryPause()
        while True:
            began_s = self._clock.monotonic_s()
            try:
                listed = await self._list(group, kind, trouble, all_=known_targets.needs_all)
            except (ApiError, AuthError) as error:
                self._refuse(group, kind, error)
                await self._clock.sleep(retry_pause.pause_s())
                continue
            retry_pause = RetryPause()
            trouble.end()
            self._admit(group, kind)
            for gap in await self._take(
                known_targets, group, kind, listed, began_s=began_s, on_found=on_found
            ):
                await on_lost(gap)
            await self._clock.sleep(self._interval_s)

    async def _list(
        self, group: str, kind: Kind, trouble: OnRetry, *, all_: bool
    ) -> Sequence[Workload]:
        """The first time everything, to say what there is; then no more than may be meant."""
        if all_ or self._first_looks.are_awaited(group, kind):
            return await self._source.list(kind, group, on_retry=trouble)
        concerned = [one for one in self._selectors if one.is_for(group, kind)]
        scenarios = {one.scenarios for one in concerned}
        executables = {one.executables for one in concerned}
        only_scenario = scenarios.pop() if len(scenarios) == 1 else ()
        filter_by = ListFilter(
            scenario_id=only_scenario[0] if len(only_scenario) == 1 else "",
            executable_ids=executables.pop() if len(executables) == 1 else (),
        )
        return await self._source.list(kind, group, filter_by, on_retry=trouble)

    async def _take(
        self,
        known_targets: KnownTargets,
        group: str,
        kind: Kind,
        listed: Sequence[Workload],
        *,
        began_s: float,
        on_found: OnFound,
    ) -> Sequence[Gap]:
        """What is new is told; what is lost is the answer."""
        now_ns = self._source.server_now_ns()
        assert now_ns is not None, "the service has just answered"
        now_s = self._clock.monotonic_s()
        # What was created before the question was sent is in the list; later, perhaps.
        asked_ns = now_ns - round((now_s - began_s) * NS_PER_S)
        since_ns = now_ns - round((now_s - self._watched_since_s) * NS_PER_S)
        changes = known_targets.compare(
            listed, self._spool, now_ns=asked_ns, watched_since_ns=since_ns
        )
        await self._spool.record_listing(
            group, kind, at_ns=asked_ns, starts=changes.found, forgettable=changes.forgettable
        )
        self._sightings[(group, kind)] = {
            one.target: Sighting(one, began_s)
            for one in listed
            if self._spool.is_known(one.target) and not self._spool.is_retired(one.target)
        }
        self._first_looks.note(group, kind, listed)
        for workload in listed:
            if workload.target in changes.found:
                on_found(Found(workload, changes.found[workload.target]))
        reason = "it was deleted while tailer was not running"
        return [
            Gap(target, read_ns, max(read_ns, now_ns), GapReason.GONE, reason)
            for target, read_ns in changes.lost.items()
        ]

    def _refuse(self, group: str, kind: Kind | None, error: ApiError | AuthError) -> None:
        if self._source.server_now_ns() is None:
            raise error
        kinds = self._refused.setdefault(group, set())
        if not kinds:
            log.error("resource_group_denied", resource_group=group, error=str(error))
        kinds.add(kind)
        if kind is not None:
            self._first_looks.note(group, kind, ())

    def _admit(self, group: str, kind: Kind | None) -> None:
        kinds = self._refused.get(group, set())
        if kind in kinds:
            kinds.remove(kind)
            if not kinds:
                log.info("resource_group_available", resource_group=group)


class _Trouble:
    """Tells once when requests of one question go on failing, and when that is over."""

    def __init__(self, clock: Clock, *, what: str) -> None:
        self._clock = clock
        self._what = what
        self._since_s: float | None = None
        self._is_told = False

    def __call__(self, error: TransientApiError, retry_in_s: float) -> None:
        now_s = self._clock.monotonic_s()
        self._since_s = now_s if self._since_s is None else self._since_s
        if not self._is_told and now_s + retry_in_s - self._since_s >= OUTAGE_S:
            self._is_told = True
            log.warning("list_failed", what=self._what, error=error.message)

    def end(self) -> None:
        if self._is_told and self._since_s is not None:
            after_s = round(self._clock.monotonic_s() - self._since_s, 1)
            log.info("list_recovered", what=self._what, after_s=after_s)
        self._since_s, self._is_told = None, False


_GROUPS = "resource groups"
# A scanner asks again at its interval, and after refusals ever less often, up to this.
_LONGEST_REST_S = 900.0


@dataclass(frozen=True, slots=True)
class NotedLists:
    """`source`, for a scanner of `selectors` that looks every `interval_s`."""

    source: ListSource
    selectors: Sequence[Selector]
    health: Health
    clock: Clock
    interval_s: float

    def expect(self) -> None:
        """Note what will be looked at, before the first look: until then nothing is ready."""
        self._expect(self._named_groups)
        if any(one.resource_groups is None for one in self.selectors):
            self.health.of_look(_GROUPS)

    @property
    def _named_groups(self) -> set[str]:
        return {group for one in self.selectors for group in one.resource_groups or ()}

    def _expect(self, groups: Collection[str]) -> None:
        for group, kind in product(groups, Kind):
            if any(one.is_for(group, kind) for one in self.selectors):
                self.health.of_look(_what(kind, group))

    def server_now_ns(self) -> int | None:
        return self.source.server_now_ns()

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Sequence[Workload]:
        look = self.health.of_look(_what(kind, resource_group))
        self._begin(look)
        try:
            listed = await self.source.list(
                kind, resource_group, filter_by, on_retry=self._noting(look, on_retry)
            )
        except (ApiError, AuthError) as error:
            self._fail(look, error)
            raise
        self._succeed(look)
        return listed

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]:
        """Those that are no more are not looked at any more either."""
        look = self.health.of_look(_GROUPS)
        self._begin(look)
        try:
            groups = await self.source.resource_groups(on_retry=self._noting(look, on_retry))
        except (ApiError, AuthError) as error:
            self._fail(look, error)
            raise
        self._succeed(look)
        there = self._named_groups | set(groups)
        self._expect(there)
        kept = {_what(kind, group) for group in there for kind in Kind} | {_GROUPS}
        for what in self.health.looks.keys() - kept:
            del self.health.looks[what]
        return groups

    def _begin(self, look: ListingHealth) -> None:
        look.activity.start("asking the service", now_s=self.clock.monotonic_s())

    def _succeed(self, look: ListingHealth) -> None:
        look.is_done, look.reason, look.next_try_s = True, "", None
        rest_s = max(self.interval_s, _LONGEST_REST_S if look.what == _GROUPS else 0.0)
        look.activity.start("pausing", now_s=self.clock.monotonic_s(), within_s=rest_s)

    def _fail(self, look: ListingHealth, error: ApiError | AuthError) -> None:
        """Refused. That is an answer, too."""
        look.is_done, look.reason, look.next_try_s = True, error.message, None
        now_s = self.clock.monotonic_s()
        look.activity.start("waiting to try again", now_s=now_s, within_s=_LONGEST_REST_S)

    def _noting(self, look: ListingHealth, on_retry: OnRetry) -> OnRetry:
        def tell(error: TransientApiError, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            look.reason, look.next_try_s = error.message, now_s + retry_in_s
            look.activity.start("waiting to try again", now_s=now_s, within_s=retry_in_s)
            on_retry(error, retry_in_s)

        return tell


def _what(kind: Kind, resource_group: str) -> str:
    return f"{kind}s in {resource_group}"
