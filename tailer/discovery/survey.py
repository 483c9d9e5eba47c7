"""What selectors mean at first: told once, when every place where they look was looked at."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog

from tailer.backoff import OnRetry
from tailer.discovery.selector import Selector, summarize_workloads
from tailer.errors import ApiError
from tailer.model import NO_FILTER, Kind, ListFilter, Workload

log = structlog.get_logger()


def kinds_in(group: str, selectors: Sequence[Selector]) -> tuple[Kind, ...]:
    return tuple(kind for kind in Kind if any(one.is_for(group, kind) for one in selectors))


class SelectorReports:
    """`wait_for` each resource group, then `begin`; `note` what was listed."""

    def __init__(self, selectors: Sequence[Selector]) -> None:
        self._selectors = selectors
        self._awaited: set[tuple[str, Kind]] = set()
        self._workloads: list[Workload] = []
        self._has_begun = False
        self._is_told = False

    def wait_for(self, group: str) -> None:
        self._awaited |= {(group, kind) for kind in kinds_in(group, self._selectors)}

    def begin(self) -> None:
        """Every resource group is waited for."""
        self._has_begun = True
        self._tell_when_done()

    def are_awaited(self, group: str, kind: Kind) -> bool:
        return (group, kind) in self._awaited

    def note(self, group: str, kind: Kind, listed: Collection[Workload]) -> None:
        if (group, kind) in self._awaited:
            self._awaited.remove((group, kind))
            if not self._is_told:
                self._workloads += listed
                self._tell_when_done()

    def _tell_when_done(self) -> None:
        if self._is_told or self._awaited or not self._has_begun:
            return
        self._is_told = True
        for selector in self._selectors:
            matching = [one for one in self._workloads if selector.matches(one)]
            if matching:
                alive = sum(not one.status.is_terminal for one in matching)
                log.info(
                    "selector_matched", selector=str(selector), found=len(matching), alive=alive
                )
            else:
                there = available(self._workloads, selector)
                log.warning("selector_unmatched", selector=str(selector), available=there)
        self._workloads = []


def available(workloads: Sequence[Workload], selector: Selector) -> str:
    """What could be chosen from where `selector` looks."""
    groups = selector.resource_groups
    return summarize_workloads(
        one for one in workloads if groups is None or one.target.resource_group in groups
    )


class ListSource(Protocol):
    """The service, as far as it lists things. Requests are retried inside, without end."""

    def server_now_ns(self) -> int | None: ...

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Sequence[Workload]:
        """All of them, whatever their status."""

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What there was at one look into so many `groups`, and which of them were refused."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, ApiError]
    groups: int


async def survey(selectors: Sequence[Selector], source: ListSource, *, on_retry: OnRetry) -> Survey:
    """One look at everything that `selectors` could mean.

    Errors: of a single resource group in the answer; AuthError, and an ApiError before the
    service has answered anything or where it does not say which groups there are.
    """
    workloads: list[Workload] = []
    refusals: dict[str, ApiError] = {}

    async def look(group: str, kind: Kind) -> None:
        try:
            workloads.extend(await source.list(kind, group, on_retry=on_retry))
        except ApiError as error:
            if source.server_now_ns() is None:
                raise
            refusals.setdefault(group, error)

    groups = dict.fromkeys(named_groups(selectors))
    if means_all_groups(selectors):
        groups |= dict.fromkeys(await source.resource_groups(on_retry=on_retry))
    async with anyio.create_task_group() as looking:
        for group in groups:
            for kind in kinds_in(group, selectors):
                looking.start_soon(look, group, kind)
    return Survey(workloads, refusals, len(groups))


def named_groups(selectors: Sequence[Selector]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group for one in selectors for group in one.resource_groups or ()))


def means_all_groups(selectors: Sequence[Selector]) -> bool:
    return any(one.resource_groups is None for one in selectors)
