"""Which deployments and executions are meant, when they are not named. Pure.

Everything that a selector says must be true of a workload; what it does not say may be
anything. Several selectors are alternatives.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tailer.config.settings import ALL_GROUPS, Watch
from tailer.model import Kind, Status, Workload

# On the way to a status: what came before it, whether or not anybody looked in time.
_BEFORE = {
    Status.UNKNOWN: (),
    Status.PENDING: (Status.UNKNOWN,),
    Status.RUNNING: (Status.UNKNOWN, Status.PENDING),
    Status.STOPPING: (Status.UNKNOWN, Status.PENDING, Status.RUNNING),
    Status.COMPLETED: (Status.UNKNOWN, Status.PENDING, Status.RUNNING),
    Status.DEAD: (Status.UNKNOWN, Status.PENDING, Status.RUNNING),
    Status.STOPPED: (Status.UNKNOWN, Status.PENDING, Status.RUNNING, Status.STOPPING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Empty is any, everywhere but in `resource_groups`; there None is all that may be seen.

    A configuration is meant by its id, or by an expression that is found in its name; an
    id by an expression that is found in it. Everything else must be equal.
    """

    resource_groups: tuple[str, ...] | None
    kinds: tuple[Kind, ...] = tuple(Kind)
    scenarios: tuple[str, ...] = ()
    executables: tuple[str, ...] = ()
    configurations: tuple[re.Pattern[str], ...] = ()
    statuses: tuple[Status, ...] = ()
    ids: tuple[re.Pattern[str], ...] = ()

    def is_for(self, resource_group: str, kind: Kind) -> bool:
        """Whether anything there can be meant."""
        groups = self.resource_groups
        return kind in self.kinds and (groups is None or resource_group in groups)

    def describes(self, workload: Workload) -> bool:
        """Whether all that never changes about it is as wanted."""
        target = workload.target
        return (
            self.is_for(target.resource_group, target.kind)
            and (not self.scenarios or workload.scenario_id in self.scenarios)
            and (not self.executables or workload.executable_id in self.executables)
            and (not self.configurations or self._has_configuration(workload))
            and (not self.ids or any(one.search(target.id) for one in self.ids))
        )

    def matches(self, workload: Workload) -> bool:
        """Whether it is meant, with the status that it has now."""
        return self.describes(workload) and self._wants(workload.status)

    def has_matched(self, workload: Workload, *, since: Status | None) -> bool:
        """Whether it is meant, or was on its way from status `since`: None is its creation.

        Looks are far apart, and a status that nobody saw was one all the same.
        """
        if not self.describes(workload):
            return False
        passed = _BEFORE[workload.status]
        if since is not None:
            passed = tuple(one for one in passed if since in _BEFORE[one])
        return any(map(self._wants, (*passed, workload.status)))

    def _wants(self, status: Status) -> bool:
        return not self.statuses or status in self.statuses

    def _has_configuration(self, workload: Workload) -> bool:
        return any(
            one.pattern == workload.configuration_id or one.search(workload.configuration_name)
            for one in self.configurations
        )

    def __str__(self) -> str:
        """As one would say it: `executions of scenario churn in team-a`."""
        kinds = " and ".join(f"{kind}s" for kind in self.kinds)
        groups = "all resource groups" if self.resource_groups is None else None
        parts = [
            _said("of scenario", self.scenarios),
            _said("of executable", self.executables),
            _said("of configuration", [one.pattern for one in self.configurations]),
            _said("in status", self.statuses),
            _said("with id", [one.pattern for one in self.ids]),
            f"in {groups}" if groups else _said("in", self.resource_groups or ()),
        ]
        return " ".join([kinds, *(part for part in parts if part)])


def selector_for(watch: Watch, *, default_group: str) -> Selector | None:
    """None for a watch of `targets`."""
    if watch.targets:
        return None
    groups = watch.resource_group or (default_group,)
    return Selector(
        resource_groups=None if groups == (ALL_GROUPS,) else groups,
        kinds=tuple(Kind) if watch.kind is None else (Kind(watch.kind),),
        scenarios=watch.scenario or (),
        executables=watch.executable or (),
        configurations=watch.configuration or (),
        statuses=watch.status or (),
        ids=watch.id or (),
    )


def _said(what: str, wanted: Iterable[str]) -> str:
    words = " or ".join(wanted)
    return f"{what} {words}" if words else ""


_MOST_SHOWN = 5  # scenarios; beyond that a sentence is a table


def summarize_workloads(workloads: Iterable[Workload]) -> str:
    """What there is: `3 executions (2 COMPLETED, 1 RUNNING) of scenario churn`, and so on."""
    by_kind: dict[tuple[Kind, str], Counter[Status]] = {}
    for workload in workloads:
        one = by_kind.setdefault((workload.target.kind, workload.scenario_id), Counter())
        one[workload.status] += 1
    largest = sorted(by_kind.items(), key=lambda item: (-item[1].total(), item[0]))
    parts = [
        _counted(kind, scenario, statuses) for (kind, scenario), statuses in largest[:_MOST_SHOWN]
    ]
    more = sum(statuses.total() for _, statuses in largest[_MOST_SHOWN:])
    return ", ".join([*parts, f"{more} others"] if more else parts) or "nothing"


def _counted(kind: Kind, scenario: str, statuses: Counter[Status]) -> str:
    total = statuses.total()
    in_detail = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    of_scenario = f" of scenario {scenario}" if scenario else ""
    return f"{total} {kind}{'s' if total > 1 else ''}{of_scenario} ({in_detail})"
