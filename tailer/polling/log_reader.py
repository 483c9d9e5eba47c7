"""Read the logs of one target as slices of time: drives the two pure readers."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tailer.backoff import OnRetry
from tailer.model import MAX_TOP, Entry, GapReason, Order, Page, Target, Window, Workload
from tailer.polling.last_lines import LastLinesReader
from tailer.polling.pages import Query, ServiceDialect, Slice
from tailer.polling.range_reader import RangeReader
from tailer.polling.reporter import TargetReporter
from tailer.timestamp import format_ns


class LogSource(Protocol):
    """The part of the service that a poller needs. It retries requests without end."""

    def server_now_ns(self) -> int | None:
        """A lower bound of the service's clock; None before its first response."""

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


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads `target` from `source`, and learns how the service interprets `start` and `end`.

    Errors: NotFoundError when the service has no logs of the target (yet); AuthError and
    PermanentApiError. The source retries transient errors.
    """

    target: Target
    source: LogSource
    reporter: TargetReporter
    dialect: ServiceDialect = field(default_factory=ServiceDialect)

    def now_ns(self) -> int:
        now_ns = self.source.server_now_ns()
        assert now_ns is not None, "the service's clock is needed only after its first answer"
        return now_ns

    async def slices(self, window: Window) -> AsyncIterator[Slice]:
        reader = RangeReader(window, self.dialect)
        while reader.query is not None:
            slice_ = reader.feed(await self._request(reader.query))
            if slice_ is not None:
                self._report_hole(slice_.hole)
                yield slice_

    async def last_lines(self, count: int, window: Window) -> tuple[Sequence[Entry], Sequence[int]]:
        reader = LastLinesReader(max(0, count), window)
        while reader.query is not None:
            reader.feed(await self._request(reader.query, top=reader.top))
        self._report_hole(reader.hole)
        if reader.is_readable:
            return reader.lines
        lines: deque[tuple[Entry, int]] = deque(maxlen=count)
        async for slice_ in self.slices(window):
            lines.extend(zip(slice_.entries, slice_.times_ns, strict=True))
        return [entry for entry, _ in lines], [time_ns for _, time_ns in lines]

    async def _request(self, query: Query, *, top: int = MAX_TOP) -> Page:
        page = await self.source.logs(
            self.target,
            start_ns=query.window.start_ns,
            end_ns=query.window.end_ns,
            order=query.order,
            top=top,
            on_retry=self.reporter.failed,
        )
        self.reporter.answered()
        return page

    def _report_hole(self, hole: Window | None) -> None:
        if hole is not None:
            detail = f"more lines at {format_ns(hole.start_ns)} than the service returns"
            self.reporter.gap(hole, GapReason.SATURATED, detail)
