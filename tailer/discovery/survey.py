"""List everything that selectors may match, once; report the first result per selector."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog

from tailer.backoff import OnRetry
from tailer.discovery.selector import Selector, summarize_workloads
from tailer.errors import ApiError
from tailer.model import NO_FILTER, Kind, ListFilter, Workload

log = structlog.get_logger()


class ListSource(Protocol):
    """The listings of the service. It retries requests without end."""

    def server_now_ns(self) -> int | None: ...

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Sequence[Workload]:
        """All workloads of a kind, in every status."""

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Survey:
    """Workloads of `groups` resource groups, and the error of each group that was refused."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, ApiError]
    groups: int


async def survey(selectors: Sequence[Selector], source: ListSource, *, on_retry: OnRetry) -> Survey:
    """List everything that `selectors` may match, once.

    Errors: a refusal of a single resource group is part of the result. AuthError, an
    ApiError before the first response, and a refused list of resource groups are raised.
    """
    workloads: list[Workload] = []
    refusals: dict[str, ApiError] = {}

    async def list_kind(group: str, kind: Kind) -> None:
        try:
            workloads.extend(await source.list(kind, group, on_retry=on_retry))
        except ApiError as error:
            if source.server_now_ns() is None:
                raise
            refusals.setdefault(group, error)

    groups = dict.fromkeys(named_groups(selectors))
    if means_all_groups(selectors):
        groups |= dict.fromkeys(await source.resource_groups(on_retry=on_retry))
    async with anyio.create_task_group() as listing:
        for group in groups:
            for kind in kinds_in(group, selectors):
                listing.start_soon(list_kind, group, kind)
    return Survey(workloads, refusals, len(groups))


def kinds_in(group: str, selectors: Sequence[Selector]) -> tuple[Kind, ...]:
    return tuple(kind for kind in Kind if any(one.is_for(group, kind) for one in selectors))


def named_groups(selectors: Sequence[Selector]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group for one in selectors for group in one.resource_groups or ()))


def means_all_groups(selectors: Sequence[Selector]) -> bool:
    return any(one.resource_groups is None for one in selectors)


def available(workloads: Sequence[Workload], selector: Selector) -> str:
    """Summary of the workloads in the resource groups of `selector`."""
    groups = selector.resource_groups
    return summarize_workloads(
        one for one in workloads if groups is None or one.target.resource_group in groups
    )


class SelectorReports:
    """Logs once per selector what it matches, when all first listings are recorded.

    Call `wait_for` with all resource groups, then `record` each listing.
    """

    def __init__(self, selectors: Sequence[Selector]) -> None:
        self._selectors = selectors
        self._awaited: set[tuple[str, Kind]] = set()
        self._workloads: list[Workload] = []
        self._is_reported = False

    def wait_for(self, groups: Iterable[str]) -> None:
        self._awaited |= {
            (group, kind) for group in groups for kind in kinds_in(group, self._selectors)
        }
        self._report_if_complete()

    def record(self, group: str, kind: Kind, listed: Collection[Workload]) -> None:
        if (group, kind) in self._awaited and not self._is_reported:
            self._awaited.remove((group, kind))
            self._workloads += listed
            self._report_if_complete()

    def _report_if_complete(self) -> None:
        if self._is_reported or self._awaited:
            return
        self._is_reported = True
        for selector in self._selectors:
            matching = [one for one in self._workloads if selector.matches(one)]
            name = str(selector)
            if matching:
                alive = sum(not one.status.is_terminal for one in matching)
                log.info("selector_matched", selector=name, found=len(matching), alive=alive)
            else:
                found = available(self._workloads, selector)
                log.warning("selector_unmatched", selector=name, available=found)
        self._workloads = []
