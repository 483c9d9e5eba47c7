"""--summary: the result of a run as JSON, written atomically.

Contract, documented in the README: fields are added, never changed or removed.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from tailer.aicore.rate_limit import RequestStatistics
from tailer.errors import SinkError
from tailer.health.targets import TargetHealth
from tailer.logs.files import refuse_own_output
from tailer.logs.outcome import Outcome, Verdict
from tailer.logs.printed import Printed, PrintedLines
from tailer.timestamp import format_ns

_VERSION = 1
# Written in place: a rename would replace the device's own name, such as /dev/stdout.
_DEVICE_DIRECTORIES = ("/dev/", "/proc/")
_MAX_STEM_BYTES = 200  # of the 255 that a name may have; the temporary name is longer


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
    printed: PrintedLines,
    statistics: RequestStatistics,
    *,
    verdict: Verdict,
    exit_code: int,
    started_ns: int,
    duration_s: float,
) -> Summary:
    targets = [
        _target_summary(health, printed.of(target))
        for target, health in sorted(outcome.health.targets.items())
    ]
    first_ns = [one.first_ns for one in printed.targets.values() if one.first_ns is not None]
    last_ns = [one.last_ns for one in printed.targets.values() if one.last_ns is not None]
    return Summary(
        version=_VERSION,
        verdict=verdict,
        exit_code=exit_code,
        started_at=format_ns(started_ns),
        duration_s=round(duration_s, 3),
        lines=printed.lines,
        late_lines=sum(one.late_lines for one in targets),
        first_timestamp=_time(min(first_ns, default=None)),
        last_timestamp=_time(max(last_ns, default=None)),
        requests=statistics.requests,
        retries=statistics.retries,
        errors=[str(error) for error in outcome.errors],
        gaps=[gap for one in targets for gap in one.gaps],
        targets=targets,
    )


def _target_summary(health: TargetHealth, printed: Printed) -> TargetSummary:
    target = health.target
    return TargetSummary(
        target=target.name,
        resource_group=target.resource_group,
        status=health.status,
        status_message="" if health.details is None else health.details.status_message,
        lines=printed.lines,
        late_lines=health.totals.late,
        first_timestamp=_time(printed.first_ns),
        last_timestamp=_time(printed.last_ns),
        gaps=[
            GapSummary(
                target=target.name,
                resource_group=target.resource_group,
                start=format_ns(gap.start_ns),
                end=format_ns(gap.end_ns),
                reason=gap.reason,
                detail=gap.detail,
            )
            for gap in health.gaps
        ],
    )


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else format_ns(time_ns)


def check_summary_file(path: Path) -> None:
    """Detect an unwritable --summary file at the start, not after hours.

    Raises:
        ConfigError: stdout or stderr is redirected to `path`.
        SinkError: The file cannot be written.
    """
    try:
        real, is_replaceable = _resolve(path)
    except (OSError, RuntimeError) as error:  # a symlink loop is either, by version of Python
        raise _unwritable(path, error) from error
    if is_replaceable:
        refuse_own_output("--summary", path)
    needed = real.parent if is_replaceable else real
    if real.is_dir():
        reason = "it is a directory"
    elif not needed.exists():
        reason = f"{needed} does not exist"
    elif not os.access(needed, os.W_OK):
        reason = f"no permission for {needed}"
    else:
        return
    raise SinkError(f"--summary {path} cannot be written: {reason}")


def write_summary(path: Path, summary: Summary) -> None:
    """Replace the file by a rename, so that readers see the old or the whole new one.

    A device is written in place.

    Raises:
        SinkError: The file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    try:
        real, is_replaceable = _resolve(path)
        if is_replaceable:
            _replace(real, text)
        else:
            _write(real, text, os.O_APPEND)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> SinkError:
    reason = error.strerror if isinstance(error, OSError) else "symlink loop"
    return SinkError(f"--summary {path} cannot be written: {reason}")


def _resolve(path: Path) -> tuple[Path, bool]:
    """The real path, and whether it is a regular or new file, which a rename can replace."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - symlinks are resolved below
    if str(absolute).startswith(_DEVICE_DIRECTORIES):
        return absolute, False
    real = absolute.resolve()
    return real, not real.exists() or stat.S_ISREG(real.stat().st_mode)


def _replace(path: Path, text: bytes) -> None:
    stem = os.fsdecode(os.fsencode(path.name)[:_MAX_STEM_BYTES])
    temporary = path.with_name(f".{stem}.{os.getpid()}.tmp")
    try:
        _write(temporary, text, os.O_CREAT | os.O_EXCL)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write(path: Path, text: bytes, flags: int) -> None:
    """Fails for a named pipe without a reader: waiting for one might never end."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | flags, 0o666)
    os.set_blocking(fd, True)
    with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(text)
