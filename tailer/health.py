"""What is known of everybody's well-being. Pure: whoever acts tells, whoever asks reads.

A quiet target and a broken connection must never look alike, so every change of phase
is a fact with a reason, and `enter` says whether it was a change at all. Long, because
what is known of a target, and the sums that outlive it, must change together.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tailer.model import Gap, GapReason, Status, Target, Workload
from tailer.pulse import Pulse
from tailer.vitals import (
    LookHealth,
    LoopHealth,
    NameHealth,
    RequestsHealth,
    SinkHealth,
    SpoolHealth,
)


class Phase(StrEnum):
    STARTING = "starting"
    WAITING = "waiting"  # not running yet, or no logs yet
    FOLLOWING = "following"
    BACKING_OFF = "backing_off"  # requests fail and are tried again
    FAILED = "failed"  # refused; asked again now and then
    DRAINING = "draining"  # ended; late lines may still come
    ENDED = "ended"
    GONE = "gone"  # deleted at the service


_NOTHING_TO_READ = frozenset({Phase.WAITING, Phase.ENDED, Phase.GONE})
_CAUGHT_UP_S = 30.0  # a slow answer or two
OUTAGE_S = 3.0  # a failure mended sooner is a hiccup that nobody needs to hear of
# Of a target; older ones are only counted. More than a lateness of reads can find again,
# or those would be news each time.
_KEPT_GAPS = 1000
_KEPT_RETIRED = 1000  # targets that are read to their end; of older ones only the sums
# Upper bounds: fine below the default lateness of 60 s, to see whether it could be shorter.
LATENESS_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0)


@dataclass(slots=True)
class Outage:
    """From the first failed request to the next that goes through. `since_s` is monotonic."""

    phase_before: Phase
    since_s: float
    why: str
    is_announced: bool = False


@dataclass(slots=True)
class Lateness:
    """How late the late lines came. `counts` has a bucket's index; the last has no bound."""

    counts: Counter[int] = field(default_factory=Counter)
    sum_s: float = 0.0

    def note(self, late_s: Iterable[float]) -> None:
        for seconds in late_s:
            self.counts[bisect_left(LATENESS_BUCKETS_S, seconds)] += 1
            self.sum_s += seconds

    def add(self, other: "Lateness") -> None:
        self.counts.update(other.counts)
        self.sum_s += other.sum_s


@dataclass(slots=True)
class TargetHealth:
    """Of one target, since this process began. `since_s` and `next_try_s` are monotonic.

    `lines` are those read, whether or not somebody wants them; `text_bytes` is what their
    messages have. Up to `covered_ns` of the service's time everything was read, apart from
    what comes late. `pause_s` is the last intended rest between two reads.
    """

    target: Target
    phase: Phase = Phase.STARTING
    why: str = ""
    since_s: float = 0.0
    status: Status = Status.UNKNOWN
    known: Workload | None = None  # as last seen in full
    lines: int = 0
    text_bytes: int = 0
    late: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    repeated: int = 0
    reads: int = 0
    failures: int = 0
    covered_ns: int | None = None
    last_line_ns: int | None = None
    next_try_s: float | None = None
    pause_s: float = 0.0
    pulse: Pulse = field(default_factory=Pulse)
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
        self.put_off(now_s=now_s, retry_in_s=retry_in_s)
        if self.outage.is_announced or now_s + retry_in_s - self.outage.since_s < OUTAGE_S:
            return None
        self.outage.is_announced = True
        return self.outage

    def recover(self, *, now_s: float) -> Outage | None:
        """A request went through. The outage that this ends, if it had been spoken of."""
        outage, self.outage = self.outage, None
        self.next_try_s = None
        if outage is None:
            return None
        self.enter(outage.phase_before, now_s=now_s)
        return outage if outage.is_announced else None

    def put_off(self, *, now_s: float, retry_in_s: float) -> None:
        """What failed is tried again then."""
        self.next_try_s = now_s + retry_in_s
        self.pulse.begin("waiting to try again", now_s=now_s, within_s=retry_in_s)

    def behind_s(self, service_ns: int) -> float | None:
        """How far reading is behind; None when there is nothing to read, or nobody knows."""
        if self.covered_ns is None or self.phase in _NOTHING_TO_READ:
            return None
        return max(0.0, (service_ns - self.covered_ns) / 1e9)

    def is_catching_up(self, service_ns: int) -> bool:
        """Whether it is further behind than the pauses between its reads explain."""
        behind_s = self.behind_s(service_ns)
        return (
            self.phase in {Phase.STARTING, Phase.FOLLOWING}
            and behind_s is not None
            and behind_s > self.pause_s + _CAUGHT_UP_S
        )

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
    text_bytes: int = 0
    late: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    repeated: int = 0
    reads: int = 0
    failures: int = 0
    gap_counts: Counter[GapReason] = field(default_factory=Counter)

    def add(self, one: "TargetHealth | Totals") -> None:
        """All but the number of targets."""
        self.lines += one.lines
        self.text_bytes += one.text_bytes
        self.late += one.late
        self.lateness.add(one.lateness)
        self.repeated += one.repeated
        self.reads += one.reads
        self.failures += one.failures
        self.gap_counts.update(one.gap_counts)


@dataclass(slots=True)
class Health:
    """Of everything that runs. `past` is what `targets` no longer has.

    `service_ns` is now by the service's clock, as of the last look. `has_begun` is set
    when all that is to be done at the start is known.
    """

    targets: dict[Target, TargetHealth] = field(default_factory=dict)
    sinks: dict[str, SinkHealth] = field(default_factory=dict)
    names: list[NameHealth] = field(default_factory=list)
    looks: dict[str, LookHealth] = field(default_factory=dict)
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

    def of_look(self, what: str) -> LookHealth:
        return self.looks.setdefault(what, LookHealth(what))

    def named(self, name: str, resource_group: str) -> NameHealth:
        """A name that is to be followed."""
        for known in self.names:
            if (known.name, known.resource_group) == (name, resource_group):
                return known
        self.names.append(NameHealth(name, resource_group))
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
