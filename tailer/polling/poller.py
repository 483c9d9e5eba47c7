"""Poll one target: next window, pages, cursor, spool, pause.

Two speeds: an edge read looks back a few seconds, for low latency; a sweep starts at the
watermark and so covers the whole lateness. The pure core (`range_reader`, `cursor`,
`saturation`, `last_lines`) decides; this module only sends requests and stores lines.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.errors import NotFoundError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Entry, GapReason, Sighted, Status, Target, Window, Workload, text_bytes
from tailer.polling.cursor import MAX_KEYS, Cursor
from tailer.polling.log_reader import LogReader, LogSource
from tailer.polling.pacing import pause_after
from tailer.polling.pages import Slice
from tailer.polling.reporter import TargetReporter
from tailer.polling.target_status import NOT_STARTED, StatusTracker
from tailer.spool.contract import Spool
from tailer.timestamp import NS_PER_S, format_ns

# A read ends this far ahead of the service's clock: the clock is known as a lower bound
# only, and a line may be dated slightly ahead.
AHEAD_NS = 60 * NS_PER_S
NO_LOGS_YET = "no logs yet"
_NOT_FOUND = "the service answers 404 for this target; still polling (may be temporary)"

StartAt = Callable[[int], int]
"""Where to start a target that was never read, given the service's current time."""


@dataclass(slots=True, kw_only=True)
class Poller:
    """Follows or reads one target, once. `details` is a response about it just received.

    `sighted` returns its last sighting in the listings of a scanner.

    Errors: AuthError and PermanentApiError end it. Transient errors are retried by the
    source and recorded in `health`. A full spool makes it wait.
    """

    target: Target
    source: LogSource
    spool: Spool
    clock: Clock
    health: TargetHealth
    settings: PollSettings
    jitter: Callable[[], float]
    max_keys: int = MAX_KEYS
    details: Workload | None = None
    sighted: Sighted = lambda: None
    _reporter: TargetReporter = field(init=False)
    _logs: LogReader = field(init=False)
    _status: StatusTracker = field(init=False)
    _cursor: Cursor = field(init=False)

    def __post_init__(self) -> None:
        self._reporter = TargetReporter(self.health, self.clock)
        self._logs = LogReader(self.target, self.source, self._reporter)
        self._cursor = self._new_cursor(0, lateness_ns=self._lateness_ns)
        self._status = StatusTracker(
            target=self.target,
            source=self.source,
            clock=self.clock,
            health=self.health,
            reporter=self._reporter,
            settings=self.settings,
            details=self.details,
            sighted=self.sighted,
        )

    @property
    def _lateness_ns(self) -> int:
        return round(self.settings.lateness_s * NS_PER_S)

    async def read(self, *, start_ns: int, end_ns: int, last: int | None = None) -> None:
        """Read [start_ns, end_ns) once, in order of time; with `last`, its last lines only."""
        await self._resume(start_ns, lateness_ns=0)
        window = Window(start_ns, end_ns)
        while True:
            try:
                if last is None:
                    await self._read(Window(self._cursor.watermark_ns, end_ns))
                else:
                    await self._take_lines(*await self._logs.last_lines(last, window))
            except NotFoundError:
                await self._refresh_status()
                if not self._has_no_logs() and self.health.status not in NOT_STARTED:
                    await self.clock.sleep(self.settings.pace.interval_s)
                    continue
                self._reporter.enter(Phase.WAITING, reason=NO_LOGS_YET)
                if self.health.totals.lines:
                    missing = Window(self._cursor.watermark_ns, end_ns)
                    self._reporter.gap(
                        missing, GapReason.GONE, "its logs disappeared during the read"
                    )
            return

    async def follow(self, *, start: StartAt, last: int | None = None) -> Status:
        """Follow from `start`, or from the last lines, until the target has ended or is gone.

        Returns its last status. A position stored in the spool takes precedence over `start`.
        """
        self._reporter.start()
        await self._status.start()
        start_ns = start(self._logs.now_ns())
        await self._resume(start_ns, lateness_ns=self._lateness_ns)
        while last is not None and not await self._has_read_last(last, start_ns):
            await self._pause(self.settings.pace.interval_s)
        pause_s, swept_s, covered_ns = 0.0, float("-inf"), self._cursor.watermark_ns
        while self.health.phase is not Phase.GONE:
            began_s, now_ns = self.clock.monotonic_s(), self._logs.now_ns()
            start_ns = self._cursor.watermark_ns
            if now_ns < min(start_ns, covered_ns):
                detail = "the service's clock was set back, to a time that was read before"
                self._reporter.gap(Window(now_ns, start_ns), GapReason.CLOCK_SET_BACK, detail)
            if self._status.drain.has_begun or began_s - swept_s >= self.settings.sweep_s:
                swept_s = began_s
            else:
                edge_ns = min(covered_ns, now_ns) - round(self.settings.edge_s * NS_PER_S)
                start_ns = max(start_ns, edge_ns)
            found = await self._read_or_wait(self._read(Window(start_ns, now_ns + AHEAD_NS)))
            if found is not None:
                covered_ns = max(covered_ns, now_ns)
                if self._status.drain.is_over_after(began_s, found_lines=found > 0):
                    self._reporter.enter(Phase.ENDED, reason=self.health.status)
                    break
            if self._status.is_due():
                await self._refresh_status()
            pause_s = pause_after(
                pause_s,
                found_lines=bool(found),
                settings=self.settings.pace,
                jitter=self.jitter(),
            )
            await self._pause(pause_s)
        self._reporter.finish()
        return self.health.status

    async def _pause(self, pause_s: float) -> None:
        self.health.pause_s = pause_s
        self._reporter.start("pausing", within_s=pause_s)
        await self.clock.sleep(pause_s)
        self._reporter.start()

    def _new_cursor(self, watermark_ns: int, *, lateness_ns: int) -> Cursor:
        return Cursor(watermark_ns, lateness_ns=lateness_ns, max_keys=self.max_keys)

    async def _resume(self, start_ns: int, *, lateness_ns: int) -> None:
        stored = await self.spool.target_position(self.target, start_ns=start_ns)
        self._cursor = self._new_cursor(stored.watermark_ns, lateness_ns=lateness_ns)
        self._cursor.remember(stored.entries, stored.times_ns)
        self.health.covered_ns = stored.watermark_ns

    async def _read_or_wait(self, read: Awaitable[int]) -> int | None:
        """The number of fresh lines; None while a 404 of the logs may be temporary.

        A confirmed 404 of the logs counts as an empty read. A 404 of the target itself says
        nothing about its logs.
        """
        try:
            found = await read
        except NotFoundError:
            await self._refresh_status()
            reason = _NOT_FOUND if self._status.is_not_found else NO_LOGS_YET
            self._reporter.enter(Phase.WAITING, reason=reason)
            if self._status.is_not_found:
                return None
            return 0 if self._has_no_logs() else None
        self._status.logs_missing.end()
        if self._status.drain.has_begun:
            self._reporter.enter(Phase.DRAINING, reason=self.health.status)
        elif self.health.status not in NOT_STARTED or self.health.totals.lines:
            self._reporter.enter(Phase.FOLLOWING)
        return found

    def _has_no_logs(self) -> bool:
        """Record a 404 of the logs; whether it is confirmed."""
        self._status.logs_missing.record(self.clock.monotonic_s())
        return self._status.logs_missing.is_confirmed

    async def _read(self, window: Window) -> int:
        """Read `window` completely; each slice is stored before the next page is requested."""
        found = 0
        async for slice_ in self._logs.slices(window):
            found += await self._take(slice_)
        self.health.totals.reads += 1
        return found

    async def _has_read_last(self, count: int, start_ns: int) -> bool:
        """Whether the last lines are read, or there are none: then all later lines are read."""
        found = await self._read_or_wait(self._read_last(count, start_ns))
        is_over = self.health.phase is Phase.GONE or self.health.status in NOT_STARTED
        return found is not None or is_over

    async def _read_last(self, count: int, start_ns: int) -> int:
        """Store the last `count` lines so far; older lines that are not late count as seen."""
        now_ns = self._logs.now_ns()
        settled_ns = max(start_ns, now_ns - self._lateness_ns)
        entries: list[Entry] = []
        times_ns: list[int] = []
        async for slice_ in self._logs.slices(Window(settled_ns, now_ns + AHEAD_NS)):
            entries += slice_.entries
            times_ns += slice_.times_ns
        older, older_times_ns = await self._logs.last_lines(
            count - len(entries), Window(start_ns, settled_ns)
        )
        first = max(0, len(entries) - count)
        self._cursor = self._new_cursor(settled_ns, lateness_ns=self._lateness_ns)
        self._cursor.remember(entries, times_ns)
        return await self._take_lines(
            [*older, *entries[first:]], [*older_times_ns, *times_ns[first:]]
        )

    async def _take_lines(self, entries: Sequence[Entry], times_ns: Sequence[int]) -> int:
        await self._store(entries, times_ns, watermark_ns=self._cursor.watermark_ns)
        return len(entries)

    async def _store(
        self, entries: Sequence[Entry], times_ns: Sequence[int], *, watermark_ns: int
    ) -> None:
        self._reporter.start("storing lines")
        await self.spool.append(self.target, entries, times_ns, watermark_ns=watermark_ns)
        self._reporter.start()
        self.health.totals.lines += len(entries)
        self.health.totals.text_bytes += text_bytes(entries)
        if times_ns:
            self.health.last_line_ns = max(self.health.last_line_ns or 0, *times_ns)

    async def _take(self, slice_: Slice) -> int:
        """Store the fresh lines of a slice with the watermark; returns their number."""
        step = self._cursor.observe(slice_)
        if step.fresh or step.watermark_ns > self._cursor.watermark_ns:
            await self._store(step.fresh, step.times_ns, watermark_ns=step.watermark_ns)
        self._cursor.commit(step)
        totals = self.health.totals
        totals.late += len(step.late_ns)
        totals.lateness.record((slice_.server_now_ns - ns) / NS_PER_S for ns in step.late_ns)
        totals.repeated += step.repeated
        self.health.covered_ns = step.covered_ns
        if step.forgotten is not None:
            self._reporter.gap(
                step.forgotten,
                GapReason.LATENESS_SHRUNK,
                f"late lines before {format_ns(step.forgotten.end_ns)} may be missed",
            )
        return len(step.fresh)

    async def _refresh_status(self) -> None:
        await self._status.refresh()
        if not self._status.is_gone:
            return
        if not self._status.drain.has_begun:
            window = Window(self._cursor.watermark_ns, self._logs.now_ns())
            self._reporter.gap(window, GapReason.GONE, "it was deleted while it was followed")
        self._reporter.enter(Phase.GONE)
