"""Progress line of a long read, pinned below all notices on stderr.

Invariant: shown only when stdout is a file or /dev/null, because log lines must not mix with
it. A program at the other end of a pipe may write to the same terminal.
"""

import os
import stat
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from tailer.clock import Clock
from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.logs.pipeline import ReadRequest
from tailer.logs.request import LogsRequest
from tailer.model import Target
from tailer.text import duration_text, lines_text
from tailer.timestamp import NS_PER_S

_SHOW_AFTER_S = 1.0  # shorter reads show no progress line
_REFRESH_S = 0.25
_BAR_CHARACTERS = 20
_MIN_SHARE = 0.01  # below it, an estimate of the remaining time would be a guess
_DEFAULT_COLUMNS = 80


@dataclass(slots=True)
class Progress:
    """The time span to read of each target, and how much of it `health` shows as read. Pure."""

    health: Health
    spans: dict[Target, tuple[int, int]] = field(default_factory=dict)

    def expect(self, request: ReadRequest, *, now_ns: int) -> None:
        """The span ends at `now_ns` at the latest: a read may end a minute after it."""
        if request.end_ns is not None:
            self.spans[request.target] = (request.start_ns, min(request.end_ns, now_ns))

    @property
    def share(self) -> float:
        """Share of the time that is read, over all targets: 0 to 1."""
        total_ns = sum(end_ns - start_ns for start_ns, end_ns in self.spans.values())
        read_ns = sum(
            self._covered_ns(target) - start_ns for target, (start_ns, _) in self.spans.items()
        )
        return read_ns / total_ns if total_ns > 0 else 0.0

    @property
    def position_ns(self) -> int | None:
        """Up to when all unfinished targets are read; None when all are finished."""
        covered_ns = [
            (self._covered_ns(target), end_ns) for target, (_, end_ns) in self.spans.items()
        ]
        return min((read_ns for read_ns, end_ns in covered_ns if read_ns < end_ns), default=None)

    @property
    def lines(self) -> int:
        return sum(self.health.of(target).totals.lines for target in self.spans)

    def _covered_ns(self, target: Target) -> int:
        start_ns, end_ns = self.spans[target]
        health = self.health.of(target)
        if health.phase is Phase.WAITING:  # it has no logs; it is not read again
            return end_ns
        return min(end_ns, max(start_ns, health.covered_ns or start_ns))


def progress_line(
    progress: Progress, *, elapsed_s: float, timezone: tzinfo | None, columns: int
) -> str:
    """` 41% ████████░░░░░░░░░░░░ 2026-11-23 14:05, 12,345 lines, 2,345/s, 1m12s left`."""
    share = progress.share
    done = round(share * _BAR_CHARACTERS)
    facts = [lines_text(progress.lines)]
    if elapsed_s > 0:
        facts.append(f"{progress.lines / elapsed_s:,.0f}/s")
    if progress.position_ns is not None:
        at = datetime.fromtimestamp(progress.position_ns / NS_PER_S, UTC).astimezone(timezone)
        facts.insert(0, f"{at:%Y-%m-%d %H:%M}")
    if share >= _MIN_SHARE:
        facts.append(f"{duration_text(max(1.0, elapsed_s * (1 / share - 1)))} left")
    bar = "█" * done + "░" * (_BAR_CHARACTERS - done)
    # Some terminals wrap after the last column, and the wrapped line would not be erased.
    return f"{int(share * 100):3}% {bar} {', '.join(facts)}"[: columns - 1]


def wants_progress(request: LogsRequest, *, stdout_fd: int) -> bool:
    """Not with --follow, which has no end, nor with --tail, which is over at once."""
    if request.follow or request.quiet or request.last is not None:
        return False
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return False
    mode = os.fstat(stdout_fd).st_mode
    is_null = stat.S_ISCHR(mode) and not os.isatty(stdout_fd)
    return stat.S_ISREG(mode) or is_null


class PinnedStream(Protocol):
    """A terminal that keeps one line below everything else that is written to it."""

    @property
    def columns(self) -> int: ...

    def pin(self, line: str) -> None: ...


async def show_progress(
    progress: Progress, stream: PinnedStream, clock: Clock, timezone: tzinfo | None
) -> None:
    """Show `progress` on `stream` until canceled, then erase it."""
    started_s = clock.monotonic_s()
    await clock.sleep(_SHOW_AFTER_S)
    try:
        while True:
            if progress.spans:
                line = progress_line(
                    progress,
                    elapsed_s=clock.monotonic_s() - started_s,
                    timezone=timezone,
                    columns=stream.columns or _DEFAULT_COLUMNS,
                )
                stream.pin(line)
            await clock.sleep(_REFRESH_S)
    finally:
        stream.pin("")
