"""Looks, again and again, what there is, and tells of every target that is meant.

Each kind in each resource group is looked at by a task of its own: one that fails, or is
forbidden, holds up no other. Never by status: what has come and gone between two looks
is only there in a status that nobody asked for. Long, because asking, refusing, admitting
and comparing are one conversation with one list, over one piece of state.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import anyio
import structlog

from tailer.clock import Clock
from tailer.errors import ApiError, AuthError, TransientApiError
from tailer.first_looks import FirstLooks, kinds_in
from tailer.health import OUTAGE_S
from tailer.model import Gap, GapReason, Kind, Target, Workload
from tailer.pacing import Reluctance
from tailer.roster import Roster
from tailer.selection import Selector
from tailer.spool.contract import Spool
from tailer.status import Sighting
from tailer.target_logs import Trouble
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_GROUPS_INTERVAL_S = 60.0  # resource groups come and go with projects, not with jobs


class ListSource(Protocol):
    """The service, as far as it lists things. Requests are retried inside, without end."""

    def server_now_ns(self) -> int | None: ...

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        *,
        scenario_id: str | None = None,
        executable_ids: Sequence[str] = (),
        on_trouble: Trouble,
    ) -> Sequence[Workload]:
        """All of them, whatever their status."""

    async def resource_groups(self, *, on_trouble: Trouble) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A target to follow from `start_ns` on, where the spool knows no better place."""

    workload: Workload
    start_ns: int


OnFound: TypeAlias = Callable[[Found], None]
OnLost: TypeAlias = Callable[[Gap], Awaitable[None]]


async def _leave(_: Gap) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Survey:
    """What there was at one look into so many `groups`, and which of them were refused."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, ApiError]
    groups: int


async def survey(
    selectors: Sequence[Selector], source: ListSource, *, on_trouble: Trouble
) -> Survey:
    """One look at everything that `selectors` could mean.

    Errors: of a single resource group in the answer; AuthError, and an ApiError before the
    service has answered anything or where it does not say which groups there are.
    """
    workloads: list[Workload] = []
    refusals: dict[str, ApiError] = {}

    async def look(group: str, kind: Kind) -> None:
        try:
            workloads.extend(await source.list(kind, group, on_trouble=on_trouble))
        except ApiError as error:
            if source.server_now_ns() is None:
                raise
            refusals.setdefault(group, error)

    groups = dict.fromkeys(_named_groups(selectors))
    if _means_all_groups(selectors):
        groups |= dict.fromkeys(await source.resource_groups(on_trouble=on_trouble))
    async with anyio.create_task_group() as looking:
        for group in groups:
            for kind in kinds_in(group, selectors):
                looking.start_soon(look, group, kind)
    return Survey(workloads, refusals, len(groups))


class Lookout:
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
        self._first_looks = FirstLooks(selectors)
        self._watched_since_s = clock.monotonic_s()

    def sighting(self, target: Target) -> Sighting | None:
        """`target` in the last list of its resource group, if it is followed and was in it."""
        seen = self._sightings.get((target.resource_group, target.kind), {})
        return seen.get(target)

    async def watch(self, on_found: OnFound, on_lost: OnLost = _leave) -> None:
        """Look, until cancelled. Each target is told of once.

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
                if not _means_all_groups(self._selectors):
                    return
                await self._clock.sleep(_GROUPS_INTERVAL_S)

    async def _groups(self) -> Sequence[str] | None:
        """All that are to be watched; None when the service does not say."""
        named = _named_groups(self._selectors)
        if not _means_all_groups(self._selectors):
            return named
        trouble = _Trouble(self._clock, what="resource groups")
        try:
            listed = await self._source.resource_groups(on_trouble=trouble)
        except (ApiError, AuthError) as error:
            self._refuse("*", None, error)
            return None
        trouble.end()
        self._admit("*", None)
        return (*named, *listed)

    async def _watch_kind(self, group: str, kind: Kind, on_found: OnFound, on_lost: OnLost) -> None:
        roster = Roster(
            group,
            kind,
            [one for one in self._selectors if one.is_for(group, kind)],
            backfill_ns=self._backfill_ns,
            lateness_ns=self._lateness_ns,
        )
        trouble = _Trouble(self._clock, what=f"{kind}s in {group}")
        reluctance = Reluctance()
        while True:
            began_s = self._clock.monotonic_s()
            try:
                listed = await self._list(group, kind, trouble, all_=roster.needs_all)
            except (ApiError, AuthError) as error:
                self._refuse(group, kind, error)
                await self._clock.sleep(reluctance.pause_s())
                continue
            reluctance = Reluctance()
            trouble.end()
            self._admit(group, kind)
            for gap in await self._take(
                roster, group, kind, listed, began_s=began_s, on_found=on_found
            ):
                await on_lost(gap)
            await self._clock.sleep(self._interval_s)

    async def _list(
        self, group: str, kind: Kind, trouble: Trouble, *, all_: bool
    ) -> Sequence[Workload]:
        """The first time everything, to say what there is; then no more than may be meant."""
        if all_ or self._first_looks.are_awaited(group, kind):
            return await self._source.list(kind, group, on_trouble=trouble)
        concerned = [one for one in self._selectors if one.is_for(group, kind)]
        scenarios = {one.scenarios for one in concerned}
        executables = {one.executables for one in concerned}
        only_scenario = scenarios.pop() if len(scenarios) == 1 else ()
        return await self._source.list(
            kind,
            group,
            scenario_id=only_scenario[0] if len(only_scenario) == 1 else None,
            executable_ids=executables.pop() if len(executables) == 1 else (),
            on_trouble=trouble,
        )

    async def _take(
        self,
        roster: Roster,
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
        changes = roster.compare(listed, self._spool, now_ns=asked_ns, watched_since_ns=since_ns)
        await self._spool.note_look(
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
        why = "it was deleted while tailer was not running"
        return [
            Gap(target, read_ns, max(read_ns, now_ns), GapReason.GONE, why)
            for target, read_ns in changes.lost.items()
        ]

    def _refuse(self, group: str, kind: Kind | None, error: ApiError | AuthError) -> None:
        if self._source.server_now_ns() is None:
            raise error
        kinds = self._refused.setdefault(group, set())
        if not kinds:
            log.error("group_refused", resource_group=group, why=str(error))
        kinds.add(kind)
        if kind is not None:
            self._first_looks.note(group, kind, ())

    def _admit(self, group: str, kind: Kind | None) -> None:
        kinds = self._refused.get(group, set())
        if kind in kinds:
            kinds.remove(kind)
            if not kinds:
                log.info("group_admitted", resource_group=group)


def _named_groups(selectors: Sequence[Selector]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group for one in selectors for group in one.resource_groups or ()))


def _means_all_groups(selectors: Sequence[Selector]) -> bool:
    return any(one.resource_groups is None for one in selectors)


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
            log.warning("list_failed", what=self._what, why=error.message)

    def end(self) -> None:
        if self._is_told and self._since_s is not None:
            after_s = round(self._clock.monotonic_s() - self._since_s, 1)
            log.info("list_recovered", what=self._what, after_s=after_s)
        self._since_s, self._is_told = None, False
