"""The JSON document of `/status` and `tailer status`, built from the health records. Pure.

docs/status.md describes every field. Fields may be added; none will be renamed or removed.
The file is long because each part of the document has a class.
"""

import re
from collections import Counter
from datetime import UTC, datetime

import msgspec

from tailer import __version__
from tailer.health.health import Health
from tailer.health.liveness import not_ready, stalled
from tailer.health.parts import NamedTargetHealth, SinkHealth
from tailer.health.targets import Phase, TargetHealth
from tailer.timestamp import NS_PER_S

CATCHING_UP = "catching_up"
PHASES = (*(phase.value for phase in Phase), CATCHING_UP)
_MAX_TARGETS = 1000  # in the document; the most urgent phases come first
_URGENCY = (
    Phase.FAILED,
    Phase.BACKING_OFF,
    CATCHING_UP,
    Phase.STARTING,
    Phase.FOLLOWING,
    Phase.WAITING,
    Phase.DRAINING,
    Phase.GONE,
    Phase.ENDED,
)
_RANK = {str(phase): rank for rank, phase in enumerate(_URGENCY)}
# Parts of an address that may hold a secret: user and password, and the query.
_USER = re.compile(r"(?<=://)[^/\s@]*@")
_QUERY = re.compile(r"(://[^\s?]*)\?\S*")


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    target: str
    resource_group: str
    phase: str
    status: str = "UNKNOWN"
    scenario: str = ""
    reason: str
    phase_age_s: float
    next_try_in_s: float | None
    behind_s: float | None = None
    lines: int = 0
    late_lines: int = 0
    repeated_lines: int = 0
    last_line_age_s: float | None = None
    gaps: dict[str, int] = {}


class SinkStatus(msgspec.Struct, frozen=True):
    sink: str
    is_open: bool
    is_up: bool
    position: int
    lag_lines: int
    lag_s: float
    delivered_lines: int
    failures: int
    last_error: str
    last_error_age_s: float | None
    backing_off_for_s: float | None
    next_try_in_s: float | None


class SpoolStatus(msgspec.Struct, frozen=True):
    bytes: int
    max_bytes: int
    oldest_s: float
    is_full: bool
    blocked_reason: str


class ListingStatus(msgspec.Struct, frozen=True):
    what: str
    is_done: bool
    reason: str
    next_try_in_s: float | None


class RequestsStatus(msgspec.Struct, frozen=True):
    answers: dict[str, int]
    retries: int
    tokens_granted: int
    tokens_failed: int
    limit_per_s: float
    rate_per_s: float
    budget: float


class Document(msgspec.Struct, frozen=True):
    version: int
    tailer: str
    now: str
    started_at: str
    uptime_s: float
    is_healthy: bool
    is_ready: bool
    stalled: list[str]
    not_ready: list[str]
    targets: list[TargetStatus]
    targets_left_out: int
    targets_by_phase: dict[str, int]
    targets_retired: int
    sinks: list[SinkStatus]
    spool: SpoolStatus
    listings: list[ListingStatus]
    requests: RequestsStatus
    gaps: dict[str, int]


def build_document(health: Health, *, now_s: float, wall_ns: int, started_ns: int) -> Document:
    """`now_s` is monotonic; `wall_ns` and `started_ns` are this machine's wall time."""
    stalled_tasks, unready = stalled(health, now_s), not_ready(health)
    rows = [_target(one, health, now_s) for one in health.targets.values()]
    rows += [_unresolved(one, now_s) for one in health.names if not one.targets]
    rows.sort(key=lambda row: (_RANK[row.phase], row.resource_group, row.target))
    return Document(
        version=1,
        tailer=__version__,
        now=_date(wall_ns),
        started_at=_date(started_ns),
        uptime_s=_rounded((wall_ns - started_ns) / NS_PER_S),
        is_healthy=not stalled_tasks,
        is_ready=not unready,
        stalled=stalled_tasks,
        not_ready=unready,
        targets=rows[:_MAX_TARGETS],
        targets_left_out=max(0, len(rows) - _MAX_TARGETS),
        targets_by_phase=dict(count_phases(health)),
        targets_retired=health.retired,
        sinks=[_sink(one, now_s) for one in health.sinks.values()],
        spool=SpoolStatus(
            bytes=health.spool.undelivered_bytes,
            max_bytes=health.spool.max_bytes,
            oldest_s=_rounded(health.spool.oldest_s),
            is_full=health.spool.is_full,
            blocked_reason=redact(health.spool.blocked_reason),
        ),
        listings=[
            ListingStatus(one.what, one.is_done, redact(one.reason), _until(one.next_try_s, now_s))
            for one in health.listings.values()
        ],
        requests=RequestsStatus(
            answers={
                str(status) if status else "none": count
                for status, count in sorted(health.requests.answers.items())
            },
            retries=health.requests.retries,
            tokens_granted=health.requests.tokens_granted,
            tokens_failed=health.requests.tokens_failed,
            limit_per_s=health.requests.limit_per_s,
            rate_per_s=_rounded(health.requests.rate_per_s),
            budget=_rounded(health.requests.budget),
        ),
        gaps={reason.value: count for reason, count in sorted(health.gaps.items())},
    )


def phase_of(one: TargetHealth, service_ns: int) -> str:
    return CATCHING_UP if one.is_catching_up(service_ns) else one.phase.value


def count_phases(health: Health) -> Counter[str]:
    """Count the targets in each phase, including names that are not resolved yet."""
    counts = Counter(dict.fromkeys(PHASES, 0))
    counts.update(phase_of(one, health.service_ns) for one in health.targets.values())
    counts.update(_phase_of_unresolved(one) for one in health.names if not one.targets)
    return counts


def redact(text: str) -> str:
    """Remove user, password and query from every address in `text`."""
    return _QUERY.sub(r"\1", _USER.sub("", text))


def _target(one: TargetHealth, health: Health, now_s: float) -> TargetStatus:
    behind_s = one.behind_s(health.service_ns)
    return TargetStatus(
        target=one.target.name,
        resource_group=one.target.resource_group,
        phase=phase_of(one, health.service_ns),
        status=one.status.value,
        scenario="" if one.details is None else one.details.scenario_id,
        reason=redact(one.reason),
        phase_age_s=_rounded(now_s - one.since_s),
        next_try_in_s=_until(one.next_try_s, now_s),
        behind_s=None if behind_s is None else _rounded(behind_s),
        lines=one.totals.lines,
        late_lines=one.totals.late,
        repeated_lines=one.totals.repeated,
        last_line_age_s=_age_s(one.last_line_ns, health.service_ns),
        gaps={reason.value: count for reason, count in sorted(one.totals.gap_counts.items())},
    )


def _unresolved(one: NamedTargetHealth, now_s: float) -> TargetStatus:
    return TargetStatus(
        target=one.name,
        resource_group=one.resource_group,
        phase=_phase_of_unresolved(one),
        reason=redact(one.reason),
        phase_age_s=_rounded(now_s - one.activity.since_s),
        next_try_in_s=_until(one.next_try_s, now_s),
    )


def _phase_of_unresolved(one: NamedTargetHealth) -> str:
    return (Phase.FAILED if one.reason else Phase.STARTING).value


def _sink(one: SinkHealth, now_s: float) -> SinkStatus:
    return SinkStatus(
        sink=one.name,
        is_open=one.is_open,
        is_up=one.is_up,
        position=one.position,
        lag_lines=one.lag_lines,
        lag_s=_rounded(one.lag_s),
        delivered_lines=one.lines,
        failures=one.failures,
        last_error=redact(one.last_error),
        last_error_age_s=_since(one.last_error_s, now_s),
        backing_off_for_s=_since(one.failing_since_s, now_s),
        next_try_in_s=_until(one.next_try_s, now_s),
    )


def _age_s(moment_ns: int | None, now_ns: int) -> float | None:
    return None if moment_ns is None else _rounded(max(0, now_ns - moment_ns) / NS_PER_S)


def _since(moment_s: float | None, now_s: float) -> float | None:
    return None if moment_s is None else _rounded(max(0.0, now_s - moment_s))


def _until(moment_s: float | None, now_s: float) -> float | None:
    return None if moment_s is None else _rounded(max(0.0, moment_s - now_s))


def _rounded(number: float) -> float:
    return round(number, 3)


def _date(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
