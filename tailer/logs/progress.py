"""How far a long reading has come: one line on stderr, below all notices, while it goes on.

Law: it is only there where log lines cannot be, so when stdout is a file. At the other end of
a pipe there may be a program that writes to this very terminal.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Protocol, TextIO

from tailer.clock import Clock
from tailer.errors import TailerError
from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.logs.pipeline import Arrivals, FindTargets, Reading
from tailer.model import Target
from tailer.spool.contract import Spool
from tailer.text import duration_text, lines_text
from tailer.timestamp import NS_PER_S

_PATIENCE_S = 1.0  # what is over sooner needs no bar
_PAUSE_S = 0.25
_BAR_CHARACTERS = 20
_LEAST_SHARE = 0.01  # before that, the time left would be a guess
_DEFAULT_COLUMNS = 80


@dataclass(slots=True)
class Progress:
    """What is read, from when to when; how far that is, is known to `health`. Pure."""

    health: Health
    spans: dict[Target, tuple[int, int]] = field(default_factory=dict)

    def expect(self, reading: Reading, *, now_ns: int) -> None:
        """`now_ns`: a reading goes up to a bit after it, and no line will be from then."""
        if reading.end_ns is not None:
            self.spans[reading.target] = (reading.start_ns, min(reading.end_ns, now_ns))

    @property
    def share(self) -> float:
        """Of the time that is to be read, over all targets: 0 to 1."""
        total_ns = sum(end_ns - start_ns for start_ns, end_ns in self.spans.values())
        read_ns = sum(
            self._covered_ns(target) - start_ns for target, (start_ns, _) in self.spans.items()
        )
        return read_ns / total_ns if total_ns > 0 else 0.0

    @property
    def position_ns(self) -> int | None:
        """Up to when everything is read, of all targets that are not done."""
        return min(
            (
                self._covered_ns(target)
                for target, (_, end_ns) in self.spans.items()
                if self._covered_ns(target) < end_ns
            ),
            default=None,
        )

    @property
    def lines(self) -> int:
        return sum(self.health.of(target).totals.lines for target in self.spans)

    def _covered_ns(self, target: Target) -> int:
        start_ns, end_ns = self.spans[target]
        one = self.health.of(target)
        if one.phase is Phase.WAITING:  # it has no logs, and is not read again
            return end_ns
        return min(end_ns, max(start_ns, one.covered_ns or start_ns))


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
    if share >= _LEAST_SHARE:
        facts.append(f"{duration_text(max(1.0, elapsed_s * (1 / share - 1)))} left")
    bar = "█" * done + "░" * (_BAR_CHARACTERS - done)
    # In the last column some terminals begin a new line, which nobody would wipe.
    return f"{int(share * 100):3}% {bar} {', '.join(facts)}"[: columns - 1]


def wants_progress(*, stdout_fd: int, stderr: TextIO | None, term: str) -> bool:
    if stderr is None or not stderr.isatty() or term == "dumb":
        return False
    mode = os.fstat(stdout_fd).st_mode
    is_null = stat.S_ISCHR(mode) and not os.isatty(stdout_fd)
    return stat.S_ISREG(mode) or is_null


class PinnedStream(Protocol):
    """A terminal that keeps one line below everything else that is written to it."""

    @property
    def columns(self) -> int: ...

    def pin(self, line: str) -> None: ...


class ProgressLine:
    """Shows `progress` on `stream`, a terminal, until it is canceled."""

    def __init__(
        self, progress: Progress, stream: PinnedStream, clock: Clock, timezone: tzinfo | None
    ) -> None:
        self._progress = progress
        self._stream = stream
        self._clock = clock
        self._timezone = timezone

    async def show(self) -> None:
        began_s = self._clock.monotonic_s()
        await self._clock.sleep(_PATIENCE_S)
        try:
            while True:
                if self._progress.spans:
                    self._stream.pin(
                        progress_line(
                            self._progress,
                            elapsed_s=self._clock.monotonic_s() - began_s,
                            timezone=self._timezone,
                            columns=self._stream.columns or _DEFAULT_COLUMNS,
                        )
                    )
                await self._clock.sleep(_PAUSE_S)
        finally:
            self._stream.pin("")


def noted(seek: FindTargets, progress: Progress, now_ns: Callable[[], int]) -> FindTargets:
    """`seek`, and `progress` hears of everything that is found."""

    async def seek_and_note(arrivals: Arrivals) -> None:
        await seek(_Noted(arrivals, progress, now_ns))

    return seek_and_note


class _Noted:
    def __init__(self, arrivals: Arrivals, progress: Progress, now_ns: Callable[[], int]) -> None:
        self._arrivals = arrivals
        self._progress = progress
        self._now_ns = now_ns

    @property
    def spool(self) -> Spool:
        return self._arrivals.spool

    def begin(self, reading: Reading) -> None:
        self._progress.expect(reading, now_ns=self._now_ns())
        self._arrivals.begin(reading)

    def fail(self, name: str, error: TailerError) -> None:
        self._arrivals.fail(name, error)
