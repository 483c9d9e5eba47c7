"""What selectors mean at first: told once, when every place where they look was looked at."""

from collections.abc import Collection, Sequence

import structlog

from tailer.model import Kind, Workload
from tailer.selection import Selector, census

log = structlog.get_logger()


def kinds_in(group: str, selectors: Sequence[Selector]) -> tuple[Kind, ...]:
    return tuple(kind for kind in Kind if any(one.is_for(group, kind) for one in selectors))


class FirstLooks:
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
                log.info("watching", selector=str(selector), found=len(matching), alive=alive)
            else:
                there = there_is(self._workloads, selector)
                log.warning("nothing_matches", selector=str(selector), there_is=there)
        self._workloads = []


def there_is(workloads: Sequence[Workload], selector: Selector) -> str:
    """What could be chosen from where `selector` looks."""
    groups = selector.resource_groups
    return census(one for one in workloads if groups is None or one.target.resource_group in groups)
