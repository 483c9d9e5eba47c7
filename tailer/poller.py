"""One target's lines, from the service into the spool: ask, tell the fresh ones, store, pause.

Two speeds: an edge read looks back a few seconds, for latency; a sweep begins at the
watermark, and so covers the whole lateness. Everything that can be wrong in an
interesting way is in `window` and `cursor`; this is their shell.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.cursor import Cursor
from tailer.ending import Ending
from tailer.errors import NotFoundError, TransientApiError
from tailer.health import Phase, TargetHealth
from tailer.last_lines import LastLinesReader
from tailer.model import MAX_TOP, GapReason, Order, Page, Status, Target, Workload
from tailer.pacing import pause_after
from tailer.range_reader import RangeReader
from tailer.reporter import Reporter
from tailer.spool.contract import Spool
from tailer.timestamp import NS_PER_S, format_ns
from tailer.window import Dialect, Query, Slice, Window

# A read ends this far ahead of the service's clock as we know it: our knowledge is a lower
# bound, and a line dated slightly ahead is still a line.
_AHEAD_NS = 60 * NS_PER_S
NO_LOGS_YET = "no logs yet"
_NOT_STARTED = frozenset({Status.UNKNOWN, Status.PENDING})

Trouble = Callable[[TransientApiError, float], None]
"""Told of a failed request and of the seconds until it is sent again."""


class LogSource(Protocol):
    """The service, as a poller needs it. Requests are retried inside, without end."""

    def server_now_ns(self) -> int | None:
        """The service's clock, never later than the truth; None before any answer."""

    async def logs(
        self,
        target: Target,
        *,
        start_ns: int,
        end_ns: int,
        order: Order,
        top: int,
        on_trouble: Trouble,
    ) -> Page: ...

    async def get(
        self, target: Target, *, only_status: bool = False, on_trouble: Trouble
    ) -> Workload: ...


class Poller:
    """Follows or reads one target, once.

    Errors: AuthError and PermanentApiError end it; whatever may pass is retried inside
    the source and shows in `health`. A full spool makes it wait.
    """

    def __init__(
        self,
        target: Target,
        *,
        source: LogSource,
        spool: Spool,
        clock: Clock,
        health: TargetHealth,
        settings: PollSettings,
        jitter: Callable[[], float],
    ) -> None:
        self._target = target
        self._source = source
        self._spool = spool
        self._clock = clock
        self._health = health
        self._reporter = Reporter(health, clock)
        self._settings = settings
        self._jitter = jitter
        self._lateness_ns = round(settings.lateness_s * NS_PER_S)
        self._dialect = Dialect()
        self._cursor = Cursor(0, lateness_ns=self._lateness_ns)
        self._ending = Ending(drain_s=settings.drain_s, lateness_s=settings.lateness_s)
        self._asked_status_s = float("-inf")

    async def read(self, *, start_ns: int, end_ns: int, last: int | None = None) -> None:
        """Take [start_ns, end_ns) once, in order of time; with `last`, its last lines only."""
        await self._resume(start_ns)
        window = Window(start_ns, end_ns)
        try:
            await (self._read(window) if last is None else self._read_last(last, window))
        except NotFoundError:
            await self._ask_status()
            self._reporter.enter(Phase.WAITING, why=NO_LOGS_YET)

    async def follow(self, *, start_ns: int, last: int | None = None) -> Status:
        """Follow from `start_ns`, or from the last lines, until the target has ended or is gone.

        Returns its last status. A place that the spool remembers goes before `start_ns`.
        """
        await self._ask_status()
        await self._resume(start_ns)
        if last is not None:
            window = Window(start_ns, self._now_ns() + _AHEAD_NS)
            await self._patiently(self._read_last(last, window))
        pause_s, swept_s, covered_ns = 0.0, float("-inf"), self._cursor.watermark_ns
        while self._health.phase is not Phase.GONE:
            began_s, now_ns = self._clock.monotonic_s(), self._now_ns()
            start_ns = self._cursor.watermark_ns
            if self._ending.has_begun or began_s - swept_s >= self._settings.sweep_s:
                swept_s = began_s
            else:
                edge_ns = min(covered_ns, now_ns) - round(self._settings.edge_s * NS_PER_S)
                start_ns = max(start_ns, edge_ns)
            found = await self._patiently(self._read(Window(start_ns, now_ns + _AHEAD_NS)))
            covered_ns = max(covered_ns, now_ns)
            if self._ending.is_over_after(began_s, found_lines=found > 0):
                self._reporter.enter(Phase.ENDED, why=self._health.status)
                break
            if self._clock.monotonic_s() - self._asked_status_s >= self._settings.status_s:
                await self._ask_status()
            pause_s = pause_after(
                pause_s,
                found_lines=found > 0,
                page_was_full=False,
                settings=self._settings.pace,
                jitter=self._jitter(),
            )
            await self._clock.sleep(pause_s)
        return self._health.status

    async def _resume(self, start_ns: int) -> None:
        place = await self._spool.place_of(self._target, start_ns=start_ns)
        self._cursor = Cursor(place.watermark_ns, lateness_ns=self._lateness_ns)
        self._cursor.remember(place.entries, place.times_ns)

    async def _patiently(self, read: Awaitable[int]) -> int:
        """The number of fresh lines; none while the service has no logs of a target it knows."""
        try:
            found = await read
        except NotFoundError:
            await self._ask_status()
            self._reporter.enter(Phase.WAITING, why=NO_LOGS_YET)
            return 0
        if self._ending.has_begun:
            self._reporter.enter(Phase.DRAINING, why=self._health.status)
        elif self._health.status not in _NOT_STARTED or self._health.lines:
            self._reporter.enter(Phase.FOLLOWING)
        return found

    async def _read(self, window: Window) -> int:
        """Read `window` through; each slice is stored before the next page is asked for."""
        reader = RangeReader(window, self._dialect)
        found = 0
        while reader.query is not None:
            shown = reader.feed(await self._ask(reader.query))
            if shown is not None:
                found += await self._take(shown)
        self._health.reads += 1
        return found

    async def _read_last(self, count: int, window: Window) -> int:
        """Take the last `count` lines of `window`, and go on behind the oldest of them."""
        reader = LastLinesReader(count, window)
        watermark_ns = self._now_ns()
        while reader.query is not None:
            reader.feed(await self._ask(reader.query, top=reader.top))
        entries, times_ns = reader.lines
        if times_ns:
            watermark_ns = min(watermark_ns, times_ns[0] + 1)
        await self._spool.append(self._target, entries, times_ns, watermark_ns=watermark_ns)
        self._cursor = Cursor(watermark_ns, lateness_ns=self._lateness_ns)
        self._cursor.remember(entries, times_ns)
        self._health.lines += len(entries)
        return len(entries)

    async def _ask(self, query: Query, *, top: int = MAX_TOP) -> Page:
        page = await self._source.logs(
            self._target,
            start_ns=query.window.start_ns,
            end_ns=query.window.end_ns,
            order=query.order,
            top=top,
            on_trouble=self._reporter.failed,
        )
        self._reporter.answered()
        return page

    async def _take(self, shown: Slice) -> int:
        """Store what is fresh in a slice, with the watermark; the number of its lines."""
        step = self._cursor.observe(shown)
        if step.fresh or step.watermark_ns > self._cursor.watermark_ns:
            await self._spool.append(
                self._target, step.fresh, step.times_ns, watermark_ns=step.watermark_ns
            )
        self._cursor.commit(step)
        self._health.lines += len(step.fresh)
        self._health.late += step.late
        self._health.repeated += step.repeated
        if not shown.is_whole:
            crowd_ns = shown.times_ns[-1]
            self._reporter.gap(
                Window(crowd_ns, shown.window.end_ns),
                GapReason.SATURATED,
                f"more lines at {format_ns(crowd_ns)} than the service shows",
            )
        if step.forgotten is not None:
            self._reporter.gap(
                step.forgotten,
                GapReason.LATENESS_SHRUNK,
                f"late lines before {format_ns(step.forgotten.end_ns)} may be missed",
            )
        return len(step.fresh)

    async def _ask_status(self) -> None:
        """Learn whether the target waits, runs, has ended, or is gone."""
        try:
            workload = await self._source.get(self._target, on_trouble=self._reporter.failed)
        except NotFoundError:
            if self._health.phase is Phase.STARTING:
                raise
            if not self._ending.has_begun:
                window = Window(self._cursor.watermark_ns, self._now_ns())
                self._reporter.gap(window, GapReason.GONE, "it was deleted while it was followed")
            self._reporter.enter(Phase.GONE)
            return
        self._reporter.answered()
        self._asked_status_s = self._clock.monotonic_s()
        self._health.status = workload.status
        self._health.status_message = workload.status_message
        self._ending.note_status(workload, now_s=self._asked_status_s, server_now_ns=self._now_ns())
        if workload.status in _NOT_STARTED and not self._health.lines:
            self._reporter.enter(Phase.WAITING, why=workload.status)

    def _now_ns(self) -> int:
        now_ns = self._source.server_now_ns()
        assert now_ns is not None, "the service's clock is needed only after its first answer"
        return now_ns
