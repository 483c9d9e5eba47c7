"""`--summary`: how a run went, as JSON for the next step of a pipeline.

The shape is documented in the README and promised there: fields are added, never changed.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tailer.aicore.rate_limit import RequestStatistics
from tailer.errors import SinkError
from tailer.health.targets import TargetHealth
from tailer.logs.files import refuse_our_own
from tailer.logs.outcome import Outcome, Verdict
from tailer.logs.printed import Printed, PrintedLines
from tailer.model import Gap
from tailer.timestamp import format_ns

_VERSION = 1
# Not files, although they may lead to one: there, a rename would replace the name itself.
_DEVICES = ("/dev/", "/proc/")
_LONGEST_STEM = 200  # bytes; a name may have 255, and the draft's is a little longer


class GapSummary(msgspec.Struct, kw_only=True):
    target: str
    resource_group: str
    start: str
    end: str
    reason: str
    detail: str


class TargetSummary(msgspec.Struct, kw_only=True):
    target: str
    resource_group: str
    status: str
    status_message: str
    lines: int
    late_lines: int
    first_timestamp: str | None
    last_timestamp: str | None
    gaps: list[GapSummary]


class Summary(msgspec.Struct, kw_only=True):
    version: int
    verdict: str
    exit_code: int
    started_at: str
    duration_s: float
    lines: int
    late_lines: int
    first_timestamp: str | None
    last_timestamp: str | None
    requests: int
    retries: int
    errors: list[str]
    gaps: list[GapSummary]
    targets: list[TargetSummary]


def summarize(
    outcome: Outcome,
    printed_lines: PrintedLines,
    statistics: RequestStatistics,
    *,
    verdict: Verdict,
    exit_code: int,
    started_ns: int,
    duration_s: float,
) -> Summary:
    targets = [
        _target_summary(health, printed_lines.of(target))
        for target, health in sorted(outcome.health.targets.items())
    ]
    printed = [one for one in printed_lines.targets.values() if one.lines]
    return Summary(
        version=_VERSION,
        verdict=verdict,
        exit_code=exit_code,
        started_at=format_ns(started_ns),
        duration_s=round(duration_s, 3),
        lines=printed_lines.lines,
        late_lines=sum(one.late_lines for one in targets),
        first_timestamp=_time(min((one.first_ns for one in printed if one.first_ns), default=None)),
        last_timestamp=_time(max((one.last_ns for one in printed if one.last_ns), default=None)),
        requests=statistics.requests,
        retries=statistics.retries,
        errors=[str(error) for error in outcome.errors],
        gaps=[gap for one in targets for gap in one.gaps],
        targets=targets,
    )


def _target_summary(health: TargetHealth, printed: Printed) -> TargetSummary:
    return TargetSummary(
        target=health.target.name,
        resource_group=health.target.resource_group,
        status=health.status,
        status_message="" if health.details is None else health.details.status_message,
        lines=printed.lines,
        late_lines=health.totals.late,
        first_timestamp=_time(printed.first_ns),
        last_timestamp=_time(printed.last_ns),
        gaps=_gap_summaries(health.gaps),
    )


def _gap_summaries(gaps: Sequence[Gap]) -> list[GapSummary]:
    return [
        GapSummary(
            target=gap.target.name,
            resource_group=gap.target.resource_group,
            start=format_ns(gap.start_ns),
            end=format_ns(gap.end_ns),
            reason=gap.reason,
            detail=gap.detail,
        )
        for gap in gaps
    ]


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else format_ns(time_ns)


def check_summary_file(path: Path) -> None:
    """So that it shows now, and not after five hours.

    Raises:
        ConfigError: One of our streams goes there already.
        SinkError: It cannot be written.
    """
    try:
        place, is_replaceable = _place_of(path)
    except (OSError, RuntimeError) as error:  # a loop of links is either, by version
        raise _unwritable(path, error) from error
    if is_replaceable:
        refuse_our_own("--summary", path)
    if place.is_dir():
        raise SinkError(f"--summary {path} cannot be written: it is a folder")
    needed = place.parent if is_replaceable else place
    if not needed.exists():
        raise SinkError(f"--summary {path} cannot be written: there is no {needed}")
    if not os.access(needed, os.W_OK):
        raise SinkError(f"--summary {path} cannot be written: no permission for {needed}")


def write_summary(path: Path, summary: Summary) -> None:
    """Whoever looks finds the old file or the whole new one; a device just gets it.

    Raises:
        SinkError: It cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    try:
        place, is_replaceable = _place_of(path)
        if is_replaceable:
            _replace(place, text)
        else:
            _write(place, text, os.O_APPEND)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> SinkError:
    reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
    return SinkError(f"--summary {path} cannot be written: {reason}")


def _place_of(path: Path) -> tuple[Path, bool]:
    """Where it is really written, and whether by a rename."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links in it are followed below
    if str(absolute).startswith(_DEVICES):
        return absolute, False
    real = absolute.resolve()
    return real, not real.exists() or stat.S_ISREG(real.stat().st_mode)


def _replace(place: Path, text: bytes) -> None:
    stem = os.fsdecode(os.fsencode(place.name)[:_LONGEST_STEM])
    draft = place.with_name(f".{stem}.{os.getpid()}.tmp")
    try:
        _write(draft, text, os.O_CREAT | os.O_EXCL)
        draft.replace(place)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def _write(place: Path, text: bytes, flags: int) -> None:
    """A named pipe must have a reader: waiting for one would never end."""
    fd = os.open(place, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | flags, 0o666)
    os.set_blocking(fd, True)
    with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(text)
