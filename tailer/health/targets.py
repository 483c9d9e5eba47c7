"""Health of one target: phase, outage, lateness, gaps."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tailer.backoff import OUTAGE_S
from tailer.health.parts import Activity
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


_NOTHING_TO_READ = frozenset({Phase.WAITING, Phase.ENDED, Phase.GONE})
_CAUGHT_UP_S = 30.0  # a slow answer or two
# Of a target; older ones are only counted. More than a lateness of reads can find again,
# or those would be news each time.
_KEPT_GAPS = 1000
# Upper bounds: fine below the default lateness of 60 s, to see whether it could be shorter.
LATENESS_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0)


@dataclass(slots=True)
class Outage:
    """From the first failed request to the next that goes through. `since_s` is monotonic."""

    phase_before: Phase
    since_s: float
    reason: str
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
    reason: str = ""
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
    activity: Activity = field(default_factory=Activity)
    gaps: list[Gap] = field(default_factory=list)
    gap_counts: Counter[GapReason] = field(default_factory=Counter)
    outage: Outage | None = None

    def enter(self, phase: Phase, *, now_s: float, reason: str = "") -> bool:
        """Whether that is news. The reason alone is none: a backoff keeps its first."""
        if phase is self.phase:
            return False
        self.phase, self.reason, self.since_s = phase, reason, now_s
        return True

    def fail(self, *, now_s: float, retry_in_s: float, reason: str) -> Outage | None:
        """A request failed. The outage it belongs to, when it is time to speak of it."""
        self.failures += 1
        if self.outage is None:
            self.outage = Outage(self.phase, now_s, reason)
        self.enter(Phase.BACKING_OFF, now_s=now_s, reason=reason)
        self.schedule_retry(now_s=now_s, retry_in_s=retry_in_s)
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

    def schedule_retry(self, *, now_s: float, retry_in_s: float) -> None:
        """What failed is tried again then."""
        self.next_try_s = now_s + retry_in_s
        self.activity.start("waiting to try again", now_s=now_s, within_s=retry_in_s)

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
