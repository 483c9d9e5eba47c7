"""Health of one target: phase, outage, read lag, counters, gaps. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tailer.health.parts import Activity
from tailer.model import Gap, GapReason, Status, Target, Workload


class Phase(StrEnum):
    STARTING = "starting"
    WAITING = "waiting"  # not running yet, or no logs yet
    FOLLOWING = "following"
    BACKING_OFF = "backing_off"  # requests fail and are retried
    FAILED = "failed"  # requests are refused; retried after growing pauses
    DRAINING = "draining"  # ended; late lines may still appear
    ENDED = "ended"
    GONE = "gone"  # deleted at the service


_PHASES_WITHOUT_LAG = frozenset({Phase.WAITING, Phase.ENDED, Phase.GONE})
_CATCHING_UP_S = 30.0  # more than one or two slow responses explain
# Gaps kept for each target; older ones are only counted. It must exceed the gaps that the
# reads of one lateness can find again, or each read would report those as new.
_MAX_GAPS_KEPT = 1000
# Upper bounds: fine below the default lateness of 60 s, to show whether it could be shorter.
LATENESS_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0)


@dataclass(slots=True)
class Lateness:
    """Histogram of the lateness of late lines. The last bucket has no upper bound."""

    counts: Counter[int] = field(default_factory=Counter)
    sum_s: float = 0.0

    def record(self, late_s: Iterable[float]) -> None:
        for seconds in late_s:
            self.counts[bisect_left(LATENESS_BUCKETS_S, seconds)] += 1
            self.sum_s += seconds

    def add(self, other: "Lateness") -> None:
        self.counts.update(other.counts)
        self.sum_s += other.sum_s


@dataclass(slots=True)
class Totals:
    """Counters of one or several targets; they only grow.

    `lines` counts all lines read, wanted by a sink or not; `text_bytes` is the size of
    their messages.
    """

    lines: int = 0
    text_bytes: int = 0
    late: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    repeated: int = 0
    reads: int = 0
    failures: int = 0
    gap_counts: Counter[GapReason] = field(default_factory=Counter)

    def add(self, other: "Totals") -> None:
        self.lines += other.lines
        self.text_bytes += other.text_bytes
        self.late += other.late
        self.lateness.add(other.lateness)
        self.repeated += other.repeated
        self.reads += other.reads
        self.failures += other.failures
        self.gap_counts.update(other.gap_counts)


@dataclass(slots=True)
class TargetHealth:
    """Health of one target since the process started. `since_s` and `next_try_s` are monotonic.

    Up to `covered_ns`, a time of the service, everything was read except late lines.
    `pause_s` is the last planned pause between two reads.
    """

    target: Target
    phase: Phase = Phase.STARTING
    reason: str = ""
    since_s: float = 0.0
    status: Status = Status.UNKNOWN
    details: Workload | None = None  # from the last response with all fields
    totals: Totals = field(default_factory=Totals)
    covered_ns: int | None = None
    last_line_ns: int | None = None
    next_try_s: float | None = None
    pause_s: float = 0.0
    activity: Activity = field(default_factory=Activity)
    gaps: list[Gap] = field(default_factory=list)
    _phase_before_outage: Phase | None = None

    def enter(self, phase: Phase, *, now_s: float, reason: str = "") -> bool:
        """Whether the phase has changed. Another reason alone is not stored."""
        if phase is self.phase:
            return False
        self.phase, self.reason, self.since_s = phase, reason, now_s
        return True

    def fail(self, *, now_s: float, retry_in_s: float, reason: str) -> None:
        """Record a failed request. The first one of an outage stores the phase before it."""
        self.totals.failures += 1
        if self._phase_before_outage is None:
            self._phase_before_outage = self.phase
        self.enter(Phase.BACKING_OFF, now_s=now_s, reason=reason)
        self.schedule_retry(now_s=now_s, retry_in_s=retry_in_s)

    def recover(self, *, now_s: float) -> None:
        """Record a successful request. After an outage the phase before it returns."""
        self.next_try_s = None
        if self._phase_before_outage is not None:
            self.enter(self._phase_before_outage, now_s=now_s)
            self._phase_before_outage = None

    def schedule_retry(self, *, now_s: float, retry_in_s: float) -> None:
        self.next_try_s = now_s + retry_in_s
        self.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)

    def behind_s(self, service_ns: int) -> float | None:
        """The read lag; None if there is nothing to read or the lag is unknown."""
        if self.covered_ns is None or self.phase in _PHASES_WITHOUT_LAG:
            return None
        return max(0.0, (service_ns - self.covered_ns) / 1e9)

    def is_catching_up(self, service_ns: int) -> bool:
        """Whether the read lag is larger than the pause between two reads explains."""
        behind_s = self.behind_s(service_ns)
        return (
            self.phase in {Phase.STARTING, Phase.FOLLOWING}
            and behind_s is not None
            and behind_s > self.pause_s + _CATCHING_UP_S
        )

    def record_gap(self, gap: Gap) -> bool:
        """Whether the gap is new: every read of a saturated instant finds it again.

        A gap that touches an earlier one of the same reason extends that one and is not new.
        """
        for index, earlier in enumerate(self.gaps):
            if earlier.reason is gap.reason and earlier.overlaps_or_touches(gap):
                self.gaps[index] = earlier.extended_by(gap)
                return False
        self.totals.gap_counts[gap.reason] += 1
        self.gaps.append(gap)
        del self.gaps[:-_MAX_GAPS_KEPT]
        return True
