"""Health records of all components, written by the tasks and read by /status. Pure."""

from collections import Counter, deque
from dataclasses import dataclass, field

from tailer.health.parts import (
    ListingHealth,
    LoopHealth,
    NamedTargetHealth,
    RequestsHealth,
    SinkHealth,
    SpoolHealth,
)
from tailer.health.targets import TargetHealth, Totals
from tailer.model import GapReason, Target

_MAX_RETIRED_KEPT = 1000  # finished targets; of older ones only the totals are kept


@dataclass(slots=True)
class Health:
    """Health of the whole process. `past` has the totals of targets that were forgotten.

    `service_ns` is the service's clock at the last sample. `has_begun` is set when all
    targets, sinks and listings of the configuration are registered.
    """

    targets: dict[Target, TargetHealth] = field(default_factory=dict)
    sinks: dict[str, SinkHealth] = field(default_factory=dict)
    names: list[NamedTargetHealth] = field(default_factory=list)
    listings: dict[str, ListingHealth] = field(default_factory=dict)
    spool: SpoolHealth = field(default_factory=SpoolHealth)
    requests: RequestsHealth = field(default_factory=RequestsHealth)
    loop: LoopHealth = field(default_factory=LoopHealth)
    service_ns: int = 0
    has_begun: bool = False
    is_stopping: bool = False
    sink_gaps: Counter[GapReason] = field(default_factory=Counter)  # not of a single target
    past: Totals = field(default_factory=Totals)
    retired: int = 0
    _retired: deque[Target] = field(default_factory=deque)

    def of(self, target: Target) -> TargetHealth:
        return self.targets.setdefault(target, TargetHealth(target))

    def of_sink(self, name: str) -> SinkHealth:
        return self.sinks.setdefault(name, SinkHealth(name))

    def of_listing(self, what: str) -> ListingHealth:
        return self.listings.setdefault(what, ListingHealth(what))

    def named(self, name: str, resource_group: str) -> NamedTargetHealth:
        """The record of a name in the configuration."""
        for one in self.names:
            if (one.name, one.resource_group) == (name, resource_group):
                return one
        self.names.append(NamedTargetHealth(name, resource_group))
        return self.names[-1]

    def retire(self, target: Target) -> None:
        """Mark `target` as finished. It is kept until 1000 others have finished after it."""
        self.retired += 1
        self._retired.append(target)
        if len(self._retired) > _MAX_RETIRED_KEPT:
            self.forget(self._retired.popleft())

    def forget(self, target: Target) -> None:
        """Drop the record of `target`, and keep its totals."""
        forgotten = self.targets.pop(target, None)
        if forgotten is not None:
            self.past.add(forgotten.totals)

    def totals(self) -> Totals:
        """Totals of all current and forgotten targets: no number in it ever decreases."""
        totals = Totals()
        for one in (self.past, *(health.totals for health in self.targets.values())):
            totals.add(one)
        return totals

    def scenario_of(self, target: Target) -> str:
        """Empty before the first response about `target`."""
        one = self.targets.get(target)
        return "" if one is None or one.details is None else one.details.scenario_id

    @property
    def gaps(self) -> Counter[GapReason]:
        counts = (one.totals.gap_counts for one in self.targets.values())
        return sum(counts, start=self.sink_gaps + self.past.gap_counts)
