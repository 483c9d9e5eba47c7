"""Selectors: which deployments and executions match, when they are not named. Pure.

A workload matches a selector if it satisfies all conditions. An empty condition accepts
everything. Several selectors are alternatives.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tailer.config.settings import ALL_GROUPS, Watch
from tailer.model import Kind, Status, Workload

# The statuses that a workload had before each status, whether a listing showed them or not.
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
    """Conditions; empty accepts everything. `resource_groups` None means all readable groups.

    A configuration matches by its id or by a regular expression found in its name, an id
    by a regular expression found in it. All other conditions compare for equality.
    """

    resource_groups: tuple[str, ...] | None
    kinds: tuple[Kind, ...] = tuple(Kind)
    scenarios: tuple[str, ...] = ()
    executables: tuple[str, ...] = ()
    configurations: tuple[re.Pattern[str], ...] = ()
    statuses: tuple[Status, ...] = ()
    ids: tuple[re.Pattern[str], ...] = ()

    def is_for(self, resource_group: str, kind: Kind) -> bool:
        """Whether workloads of this group and kind can match."""
        groups = self.resource_groups
        return kind in self.kinds and (groups is None or resource_group in groups)

    def describes(self, workload: Workload) -> bool:
        """Whether all conditions but the status match: those fields never change."""
        target = workload.target
        return (
            self.is_for(target.resource_group, target.kind)
            and (not self.scenarios or workload.scenario_id in self.scenarios)
            and (not self.executables or workload.executable_id in self.executables)
            and (not self.configurations or self._has_configuration(workload))
            and (not self.ids or any(one.search(target.id) for one in self.ids))
        )

    def matches(self, workload: Workload) -> bool:
        """Whether all conditions match, with the current status."""
        return self.describes(workload) and self._accepts(workload.status)

    def has_matched(self, workload: Workload, *, since: Status | None) -> bool:
        """Whether it matches now, or matched in a status after `since` (None: its creation).

        A status between two listings counts, too, although no listing showed it.
        """
        if not self.describes(workload):
            return False
        passed = _BEFORE[workload.status]
        if since is not None:
            passed = tuple(one for one in passed if since in _BEFORE[one])
        return any(map(self._accepts, (*passed, workload.status)))

    def _accepts(self, status: Status) -> bool:
        return not self.statuses or status in self.statuses

    def _has_configuration(self, workload: Workload) -> bool:
        return any(
            one.pattern == workload.configuration_id or one.search(workload.configuration_name)
            for one in self.configurations
        )

    def __str__(self) -> str:
        """For messages: `executions of scenario churn in team-a`."""
        kinds = " and ".join(f"{kind}s" for kind in self.kinds)
        groups = "all resource groups" if self.resource_groups is None else None
        parts = [
            _condition("of scenario", self.scenarios),
            _condition("of executable", self.executables),
            _condition("of configuration", [one.pattern for one in self.configurations]),
            _condition("in status", self.statuses),
            _condition("with id", [one.pattern for one in self.ids]),
            f"in {groups}" if groups else _condition("in", self.resource_groups or ()),
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


def _condition(what: str, accepted: Iterable[str]) -> str:
    values = " or ".join(accepted)
    return f"{what} {values}" if values else ""


_MAX_SCENARIOS = 5  # in one summary


def summarize_workloads(workloads: Iterable[Workload]) -> str:
    """Count by kind and scenario: `2 executions of scenario churn (2 DEAD)`."""
    counts: dict[tuple[Kind, str], Counter[Status]] = {}
    for workload in workloads:
        group = (workload.target.kind, workload.scenario_id)
        counts.setdefault(group, Counter())[workload.status] += 1
    largest = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    parts = [
        _counted(kind, scenario, statuses)
        for (kind, scenario), statuses in largest[:_MAX_SCENARIOS]
    ]
    more = sum(statuses.total() for _, statuses in largest[_MAX_SCENARIOS:])
    return ", ".join([*parts, f"{more} others"] if more else parts) or "nothing"


def _counted(kind: Kind, scenario: str, statuses: Counter[Status]) -> str:
    total = statuses.total()
    in_detail = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    of_scenario = f" of scenario {scenario}" if scenario else ""
    return f"{total} {kind}{'s' if total > 1 else ''}{of_scenario} ({in_detail})"
