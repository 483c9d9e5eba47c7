"""What is known of everybody's well-being. Pure: whoever acts tells, whoever asks reads.

A quiet target and a broken connection must never look alike, so every change of phase
is a fact with a reason, and `enter` says whether it was a change at all. Long, because
what is known of a target, and the sums that outlive it, must change together.
"""

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

_KEPT_RETIRED = 1000  # targets that are read to their end; of older ones only the sums


@dataclass(slots=True)
class Health:
    """Of everything that runs. `past` is what `targets` no longer has.

    `service_ns` is now by the service's clock, as of the last look. `has_begun` is set
    when all that is to be done at the start is known.
    """

    targets: dict[Target, TargetHealth] = field(default_factory=dict)
    sinks: dict[str, SinkHealth] = field(default_factory=dict)
    names: list[NamedTargetHealth] = field(default_factory=list)
    looks: dict[str, ListingHealth] = field(default_factory=dict)
    spool: SpoolHealth = field(default_factory=SpoolHealth)
    requests: RequestsHealth = field(default_factory=RequestsHealth)
    loop: LoopHealth = field(default_factory=LoopHealth)
    service_ns: int = 0
    has_begun: bool = False
    is_stopping: bool = False
    sink_gaps: Counter[GapReason] = field(default_factory=Counter)  # that concern no one target
    past: Totals = field(default_factory=Totals)
    retired: int = 0
    _retired: deque[Target] = field(default_factory=deque)

    def of(self, target: Target) -> TargetHealth:
        return self.targets.setdefault(target, TargetHealth(target))

    def of_sink(self, name: str) -> SinkHealth:
        return self.sinks.setdefault(name, SinkHealth(name))

    def of_look(self, what: str) -> ListingHealth:
        return self.looks.setdefault(what, ListingHealth(what))

    def named(self, name: str, resource_group: str) -> NamedTargetHealth:
        """A name that is to be followed."""
        for known in self.names:
            if (known.name, known.resource_group) == (name, resource_group):
                return known
        self.names.append(NamedTargetHealth(name, resource_group))
        return self.names[-1]

    def retire(self, target: Target) -> None:
        """Nothing more will happen to `target`: it is kept until many others are retired."""
        self.retired += 1
        self._retired.append(target)
        if len(self._retired) > _KEPT_RETIRED:
            self.forget(self._retired.popleft())

    def forget(self, target: Target) -> None:
        """`target` is not kept any more, only its sums."""
        known = self.targets.pop(target, None)
        if known is not None:
            self.past.targets += 1
            self.past.add(known)

    def sums(self) -> Totals:
        """Of all targets that there are and were: no number in it ever goes back."""
        sums = Totals()
        for one in self.targets.values():
            sums.add(one)
        sums.add(self.past)
        return sums

    def scenario_of(self, target: Target) -> str:
        """Empty as long as the service was not asked."""
        one = self.targets.get(target)
        return "" if one is None or one.known is None else one.known.scenario_id

    @property
    def gaps(self) -> Counter[GapReason]:
        known = (one.gap_counts for one in self.targets.values())
        return sum(known, start=self.sink_gaps + self.past.gap_counts)
