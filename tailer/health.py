"""What is known of each target's well-being. Pure: whoever acts tells, whoever asks reads.

A quiet target and a broken connection must never look alike, so every change of phase
is a fact with a reason, and `enter` says whether it was a change at all.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum

from tailer.model import Gap, GapReason, Status, Target, Workload


class Phase(StrEnum):
    STARTING = "starting"
    WAITING = "waiting"  # not running yet, or no logs yet
    FOLLOWING = "following"
    BACKING_OFF = "backing_off"  # requests fail and are tried again
    FAILED = "failed"  # refused; asked again now and then
    DRAINING = "draining"  # ended; late lines may still come
    ENDED = "ended"
    GONE = "gone"  # deleted at the service


OUTAGE_S = 3.0  # a failure mended sooner is a hiccup that nobody needs to hear of
# Of a target; older ones are only counted. More than a lateness of reads can find again,
# or those would be news each time.
_KEPT_GAPS = 1000
_KEPT_RETIRED = 1000  # targets that are read to their end; of older ones only the sums


@dataclass(slots=True)
class Outage:
    """From the first failed request to the next that goes through. `since_s` is monotonic."""

    phase_before: Phase
    since_s: float
    why: str
    is_announced: bool = False


@dataclass(slots=True)
class TargetHealth:
    """Of one target, since this process began. `since_s` is monotonic.

    `lines` are those read, whether or not somebody wants them.
    """

    target: Target
    phase: Phase = Phase.STARTING
    why: str = ""
    since_s: float = 0.0
    status: Status = Status.UNKNOWN
    known: Workload | None = None  # as last seen in full
    lines: int = 0
    late: int = 0
    repeated: int = 0
    reads: int = 0
    failures: int = 0
    gaps: list[Gap] = field(default_factory=list)
    gap_counts: Counter[GapReason] = field(default_factory=Counter)
    outage: Outage | None = None

    def enter(self, phase: Phase, *, now_s: float, why: str = "") -> bool:
        """Whether that is news. The reason alone is none: a backoff keeps its first."""
        if phase is self.phase:
            return False
        self.phase, self.why, self.since_s = phase, why, now_s
        return True

    def fail(self, *, now_s: float, retry_in_s: float, why: str) -> Outage | None:
        """A request failed. The outage it belongs to, when it is time to speak of it."""
        self.failures += 1
        if self.outage is None:
            self.outage = Outage(self.phase, now_s, why)
        self.enter(Phase.BACKING_OFF, now_s=now_s, why=why)
        if self.outage.is_announced or now_s + retry_in_s - self.outage.since_s < OUTAGE_S:
            return None
        self.outage.is_announced = True
        return self.outage

    def recover(self, *, now_s: float) -> Outage | None:
        """A request went through. The outage that this ends, if it had been spoken of."""
        outage, self.outage = self.outage, None
        if outage is None:
            return None
        self.enter(outage.phase_before, now_s=now_s)
        return outage if outage.is_announced else None

    def note_gap(self, gap: Gap) -> bool:
        """Whether that gap is new: every read of a crowded instant finds it again.

        One that touches an earlier one of the same reason makes that one longer, and is
        no news.
        """
        for index, known in enumerate(self.gaps):
            if known.reason is gap.reason and known.overlaps_or_touches(gap):
                self.gaps[index] = known.extended_by(gap)
                return False
        self.gap_counts[gap.reason] += 1
        self.gaps.append(gap)
        del self.gaps[:-_KEPT_GAPS]
        return True


@dataclass(slots=True)
class Totals:
    """Of targets that are not kept any more, so that no sum ever goes back."""

    targets: int = 0
    lines: int = 0
    late: int = 0
    repeated: int = 0
    reads: int = 0
    failures: int = 0
    gap_counts: Counter[GapReason] = field(default_factory=Counter)

    def add(self, one: TargetHealth) -> None:
        self.targets += 1
        self.lines += one.lines
        self.late += one.late
        self.repeated += one.repeated
        self.reads += one.reads
        self.failures += one.failures
        self.gap_counts.update(one.gap_counts)


@dataclass(slots=True)
class Health:
    """Of everything that runs. `past` is what `targets` no longer has."""

    targets: dict[Target, TargetHealth] = field(default_factory=dict)
    sink_gaps: Counter[GapReason] = field(default_factory=Counter)  # that concern no one target
    past: Totals = field(default_factory=Totals)
    _retired: deque[Target] = field(default_factory=deque)

    def of(self, target: Target) -> TargetHealth:
        return self.targets.setdefault(target, TargetHealth(target))

    def retire(self, target: Target) -> None:
        """Nothing more will happen to `target`: it is kept until many others are retired."""
        self._retired.append(target)
        if len(self._retired) > _KEPT_RETIRED:
            oldest = self.targets.pop(self._retired.popleft(), None)
            if oldest is not None:
                self.past.add(oldest)

    def scenario_of(self, target: Target) -> str:
        """Empty as long as the service was not asked."""
        one = self.targets.get(target)
        return "" if one is None or one.known is None else one.known.scenario_id

    @property
    def gaps(self) -> Counter[GapReason]:
        known = (one.gap_counts for one in self.targets.values())
        return sum(known, start=self.sink_gaps + self.past.gap_counts)
