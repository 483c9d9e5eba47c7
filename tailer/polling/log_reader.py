"""One target's logs as slices of time, where the service has only pages and retries."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from tailer.backoff import OnRetry
from tailer.model import MAX_TOP, Entry, GapReason, Order, Page, Target, Window, Workload
from tailer.polling.last_lines import LastLinesReader
from tailer.polling.pages import Query, ServiceDialect, Slice
from tailer.polling.range_reader import RangeReader
from tailer.polling.reporter import TargetReporter
from tailer.timestamp import format_ns


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
        on_retry: OnRetry,
    ) -> Page: ...

    async def get(
        self, target: Target, *, only_status: bool = False, on_retry: OnRetry
    ) -> Workload: ...


class LogReader:
    """Reads `target` from `source`, and learns on the way how the service reads its bounds.

    Errors: NotFoundError when the service has no logs of it (yet); AuthError and
    PermanentApiError. What may pass is retried inside the source.
    """

    def __init__(self, target: Target, source: LogSource, reporter: TargetReporter) -> None:
        self._target = target
        self._source = source
        self._reporter = reporter
        self._dialect = ServiceDialect()

    def now_ns(self) -> int:
        now_ns = self._source.server_now_ns()
        assert now_ns is not None, "the service's clock is needed only after its first answer"
        return now_ns

    async def slices(self, window: Window) -> AsyncIterator[Slice]:
        reader = RangeReader(window, self._dialect)
        while reader.query is not None:
            shown = reader.feed(await self._ask(reader.query))
            if shown is not None:
                self._tell_hole(shown)
                yield shown

    async def last_lines(self, count: int, window: Window) -> tuple[Sequence[Entry], Sequence[int]]:
        reader = LastLinesReader(max(0, count), window)
        while reader.query is not None:
            reader.feed(await self._ask(reader.query, top=reader.top))
        if reader.hole is not None:
            self._reporter.gap(reader.hole, GapReason.SATURATED, _too_many(reader.hole))
        if reader.is_readable:
            return reader.lines
        lines: deque[tuple[Entry, int]] = deque(maxlen=count)
        async for shown in self.slices(window):
            lines.extend(zip(shown.entries, shown.times_ns, strict=True))
        return [entry for entry, _ in lines], [time_ns for _, time_ns in lines]

    async def _ask(self, query: Query, *, top: int = MAX_TOP) -> Page:
        page = await self._source.logs(
            self._target,
            start_ns=query.window.start_ns,
            end_ns=query.window.end_ns,
            order=query.order,
            top=top,
            on_retry=self._reporter.failed,
        )
        self._reporter.answered()
        return page

    def _tell_hole(self, shown: Slice) -> None:
        if shown.hole is not None:
            self._reporter.gap(shown.hole, GapReason.SATURATED, _too_many(shown.hole))


def _too_many(instant: Window) -> str:
    return f"more lines at {format_ns(instant.start_ns)} than the service shows"
