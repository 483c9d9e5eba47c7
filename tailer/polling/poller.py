"""One target's lines, from the service into the spool: ask, tell the fresh ones, store, pause.

Two speeds: an edge read looks back a few seconds, for latency; a sweep begins at the
watermark, and so covers the whole lateness. Everything that can be wrong in an
interesting way is in `window` and `cursor`; this is their shell. Long, because following is
one loop, and its steps are of no use elsewhere.
"""

from collections.abc import Awaitable, Callable, Sequence

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
from tailer.polling.target_status import NOT_STARTED, Absence, Ending, StatusTracker
from tailer.spool.contract import LineQueue
from tailer.timestamp import NS_PER_S, format_ns

# A read ends this far ahead of the service's clock as we know it: our knowledge is a lower
# bound, and a line dated slightly ahead is still a line.
AHEAD_NS = 60 * NS_PER_S
_NO_LOGS_BELIEF_S = 2.0  # logs that are denied for so long: there are none
NO_LOGS_YET = "no logs yet"
_DENIED = "the service says that there is no such target; asked again, as that may pass"
_ASKING, _STORING = "asking the service", "storing lines"


StartAt = Callable[[int], int]
"""Where to start to read a target that was never read before, given the service's clock now."""


class Poller:
    """Follows or reads one target, once. `known` is the target, if it was just asked for.

    `sighted` is its last sighting, where somebody lists all targets anyhow.

    Errors: AuthError and PermanentApiError end it; whatever may pass is retried inside
    the source and shows in `health`. A full spool makes it wait.
    """

    def __init__(
        self,
        target: Target,
        *,
        source: LogSource,
        spool: LineQueue,
        clock: Clock,
        health: TargetHealth,
        settings: PollSettings,
        jitter: Callable[[], float],
        max_keys: int = MAX_KEYS,
        known: Workload | None = None,
        sighted: Sighted = lambda: None,
    ) -> None:
        self._target = target
        self._source = source
        self._spool = spool
        self._clock = clock
        self._health = health
        self._reporter = TargetReporter(health, clock)
        self._settings = settings
        self._jitter = jitter
        self._max_keys = max_keys
        self._lateness_ns = round(settings.lateness_s * NS_PER_S)
        self._logs = LogReader(target, source, self._reporter)
        self._cursor = self._new_cursor(0, lateness_ns=self._lateness_ns)
        self._ending = Ending(drain_s=settings.drain_s, lateness_s=settings.lateness_s)
        self._absence_of_logs = Absence(belief_s=_NO_LOGS_BELIEF_S)
        self._status = StatusTracker(
            target,
            source=source,
            clock=clock,
            health=health,
            reporter=self._reporter,
            ending=self._ending,
            known=known,
            sighted=sighted,
        )

    async def read(self, *, start_ns: int, end_ns: int, last: int | None = None) -> None:
        """Take [start_ns, end_ns) once, in order of time; with `last`, its last lines only."""
        await self._resume(start_ns, lateness_ns=0)
        window = Window(start_ns, end_ns)
        while True:
            try:
                if last is None:
                    await self._read(Window(self._cursor.watermark_ns, end_ns))
                else:
                    await self._take_lines(*await self._logs.last_lines(last, window))
            except NotFoundError:
                await self._ask_status()
                self._absence_of_logs.note(self._clock.monotonic_s())
                if not self._absence_of_logs.is_believed and self._health.status not in NOT_STARTED:
                    await self._clock.sleep(self._settings.pace.interval_s)
                    continue
                self._reporter.enter(Phase.WAITING, reason=NO_LOGS_YET)
                if self._health.lines:
                    missing = Window(self._cursor.watermark_ns, end_ns)
                    self._reporter.gap(missing, GapReason.GONE, "its logs went away")
            return

    async def follow(self, *, start: StartAt, last: int | None = None) -> Status:
        """Follow from `start`, or from the last lines, until the target has ended or is gone.

        Returns its last status. A place that the spool remembers goes before `start`.
        """
        self._reporter.begin(_ASKING)
        await self._status.begin()
        start_ns = start(self._logs.now_ns())
        await self._resume(start_ns, lateness_ns=self._lateness_ns)
        while last is not None and not await self._has_begun_with_last(last, start_ns):
            await self._pause(self._settings.pace.interval_s)
        pause_s, swept_s, covered_ns = 0.0, float("-inf"), self._cursor.watermark_ns
        while self._health.phase is not Phase.GONE:
            began_s, now_ns = self._clock.monotonic_s(), self._logs.now_ns()
            start_ns = self._cursor.watermark_ns
            if now_ns < min(start_ns, covered_ns):
                detail = "the service's clock was set back, to times that are read already"
                self._reporter.gap(Window(now_ns, start_ns), GapReason.CLOCK_SET_BACK, detail)
            if self._ending.has_begun or began_s - swept_s >= self._settings.sweep_s:
                swept_s = began_s
            else:
                edge_ns = min(covered_ns, now_ns) - round(self._settings.edge_s * NS_PER_S)
                start_ns = max(start_ns, edge_ns)
            found = await self._patiently(self._read(Window(start_ns, now_ns + AHEAD_NS)))
            if found is not None:
                covered_ns = max(covered_ns, now_ns)
                if self._ending.is_over_after(began_s, found_lines=found > 0):
                    self._reporter.enter(Phase.ENDED, reason=self._health.status)
                    break
            if self._status.is_due(self._settings.status_s):
                await self._ask_status()
            pause_s = pause_after(
                pause_s,
                found_lines=bool(found),
                settings=self._settings.pace,
                jitter=self._jitter(),
            )
            await self._pause(pause_s)
        self._reporter.rest("finished")
        return self._health.status

    async def _pause(self, pause_s: float) -> None:
        self._health.pause_s = pause_s
        self._reporter.begin("pausing", within_s=pause_s)
        await self._clock.sleep(pause_s)
        self._reporter.begin(_ASKING)

    def _new_cursor(self, watermark_ns: int, *, lateness_ns: int) -> Cursor:
        return Cursor(watermark_ns, lateness_ns=lateness_ns, max_keys=self._max_keys)

    async def _resume(self, start_ns: int, *, lateness_ns: int) -> None:
        place = await self._spool.target_position(self._target, start_ns=start_ns)
        self._cursor = self._new_cursor(place.watermark_ns, lateness_ns=lateness_ns)
        self._cursor.remember(place.entries, place.times_ns)
        self._health.covered_ns = place.watermark_ns

    async def _patiently(self, read: Awaitable[int]) -> int | None:
        """The number of fresh lines; None when the service had no logs of a target it knows.

        One that answers so again and again has none: that is an empty read, too. But when
        the target itself is denied, nothing is known of its logs.
        """
        try:
            found = await read
        except NotFoundError:
            await self._ask_status()
            reason = _DENIED if self._status.is_denied else NO_LOGS_YET
            self._reporter.enter(Phase.WAITING, reason=reason)
            if self._status.is_denied:
                return None
            self._absence_of_logs.note(self._clock.monotonic_s())
            return 0 if self._absence_of_logs.is_believed else None
        self._absence_of_logs.end()
        if self._ending.has_begun:
            self._reporter.enter(Phase.DRAINING, reason=self._health.status)
        elif self._health.status not in NOT_STARTED or self._health.lines:
            self._reporter.enter(Phase.FOLLOWING)
        return found

    async def _read(self, window: Window) -> int:
        """Read `window` through; each slice is stored before the next page is asked for."""
        found = 0
        async for shown in self._logs.slices(window):
            found += await self._take(shown)
        self._health.reads += 1
        return found

    async def _has_begun_with_last(self, count: int, start_ns: int) -> bool:
        """Whether its last lines are taken, or it has none: then all that come are the last."""
        found = await self._patiently(self._begin_with_last(count, start_ns))
        is_over = self._health.phase is Phase.GONE or self._health.status in NOT_STARTED
        return found is not None or is_over

    async def _begin_with_last(self, count: int, start_ns: int) -> int:
        """Take the last `count` lines so far; what is older and no longer late counts as seen."""
        now_ns = self._logs.now_ns()
        settled_ns = max(start_ns, now_ns - self._lateness_ns)
        entries: list[Entry] = []
        times_ns: list[int] = []
        async for shown in self._logs.slices(Window(settled_ns, now_ns + AHEAD_NS)):
            entries += shown.entries
            times_ns += shown.times_ns
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
        self._note_lines(entries, times_ns)
        return len(entries)

    async def _store(
        self, entries: Sequence[Entry], times_ns: Sequence[int], *, watermark_ns: int
    ) -> None:
        self._reporter.begin(_STORING)
        await self._spool.append(self._target, entries, times_ns, watermark_ns=watermark_ns)
        self._reporter.begin(_ASKING)

    def _note_lines(self, entries: Sequence[Entry], times_ns: Sequence[int]) -> None:
        self._health.lines += len(entries)
        self._health.text_bytes += text_bytes(entries)
        if times_ns:
            self._health.last_line_ns = max(self._health.last_line_ns or 0, *times_ns)

    async def _take(self, shown: Slice) -> int:
        """Store what is fresh in a slice, with the watermark; the number of its lines."""
        step = self._cursor.observe(shown)
        if step.fresh or step.watermark_ns > self._cursor.watermark_ns:
            await self._store(step.fresh, step.times_ns, watermark_ns=step.watermark_ns)
        self._cursor.commit(step)
        self._note_lines(step.fresh, step.times_ns)
        self._health.late += len(step.late_ns)
        self._health.lateness.note((shown.server_now_ns - ns) / NS_PER_S for ns in step.late_ns)
        self._health.covered_ns = step.covered_ns
        self._health.repeated += step.repeated
        if step.forgotten is not None:
            self._reporter.gap(
                step.forgotten,
                GapReason.LATENESS_SHRUNK,
                f"late lines before {format_ns(step.forgotten.end_ns)} may be missed",
            )
        return len(step.fresh)

    async def _ask_status(self) -> None:
        await self._status.ask()
        if self._status.is_gone:
            self._leave()

    def _leave(self) -> None:
        if not self._ending.has_begun:
            window = Window(self._cursor.watermark_ns, self._logs.now_ns())
            self._reporter.gap(window, GapReason.GONE, "it was deleted while it was followed")
        self._reporter.enter(Phase.GONE)
