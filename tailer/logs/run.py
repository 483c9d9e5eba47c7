"""`tailer logs` at work: finds the targets, follows them, and tells how it went.

Long, because all that a run needs is put together here, and nowhere else.
"""

import os
import random
import sys
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeAlias

import anyio
import structlog

from tailer.aicore.client import AiCoreClient
from tailer.aicore.rate_limit import RequestStatistics
from tailer.clock import Clock, SystemClock
from tailer.errors import SinkError, TailerError
from tailer.logs.outcome import Cause, Outcome, Verdict
from tailer.logs.pipeline import FilteredSink, run_logs
from tailer.logs.printed import PrintedLines
from tailer.logs.progress import PinnedStream, Progress, ProgressLine, noted, wants_progress
from tailer.logs.report import closing_report
from tailer.logs.request import LogsRequest
from tailer.logs.stops import Stop, signaled, timed_out
from tailer.logs.summary import summarize, write_summary
from tailer.logs.targets import TargetSearch
from tailer.sinks.stdout import NonBlockingWriter, StdoutSink
from tailer.text import encode

log = structlog.get_logger()

Service: TypeAlias = AbstractAsyncContextManager[tuple[AiCoreClient, tuple[str, ...]]]
"""A client, and the resource groups to look in."""

_REPORT_GRACE_S = 2.0  # for a reader of stderr; then the exit code has to do


async def run_logs_command(
    request: LogsRequest, service: Service, fd: int, tee_fd: int | None, notices: PinnedStream
) -> int:
    """The whole command but its flags. However it ends, the summary is written.

    Raises: TailerError.
    """
    run = _Run(request, SystemClock())
    verdict, code = Verdict.FAILED, 1
    try:
        await run.follow(service, fd, tee_fd, notices)
        verdict, code = run.outcome.verdict, run.outcome.exit_code
        if request.follow:
            await _tell(
                closing_report(
                    run.outcome,
                    run.printed_lines,
                    quiet=request.quiet,
                    in_color=request.colors_stderr,
                )
            )
    except TailerError as error:
        run.outcome.errors.insert(0, error)
        code = error.exit_code
        raise
    except anyio.get_cancelled_exc_class():  # by a SIGINT in the very first moment
        verdict, code = Cause.SIGINT.verdict, Cause.SIGINT.exit_code
        raise
    finally:
        is_written = run.write_summary(verdict, code)
    if run.outcome.failure is not None:
        raise run.outcome.failure
    return code if is_written else code or SinkError.exit_code


class _Run:
    """Filled while it goes on, so that the summary has something to say at any time."""

    def __init__(self, request: LogsRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._started_ns, self._began_s = clock.wall_ns(), clock.monotonic_s()
        self._statistics = RequestStatistics()
        self.outcome = Outcome()
        self.printed_lines = PrintedLines(
            context=request.error_context, max_lines=request.max_lines
        )

    async def follow(
        self, service: Service, fd: int, tee_fd: int | None, notices: PinnedStream
    ) -> None:
        request = self._request
        stops: list[Stop] = [signaled, self.printed_lines.enough]
        if request.timeout_s is not None:
            stops.append(timed_out(request.timeout_s, self._clock))
        async with service as (client, groups):
            self._statistics = client.statistics
            search = TargetSearch(client, request, groups, self._clock)
            sink = StdoutSink(
                fd, search.formatter(request.form), on_written=self.printed_lines.note
            )
            copies = []
            if tee_fd is not None:
                form = search.formatter(request.tee_form)
                copies.append(self._outlet(StdoutSink(tee_fd, form, name=f"--tee {request.tee}")))
            progress = Progress(self.outcome.health)
            showing = self._shown(progress, fd, notices)
            async with anyio.create_task_group() as beside:
                if showing is not None:
                    beside.start_soon(showing.show)
                await run_logs(
                    search.seek if showing is None else noted(search.seek, progress, search.now_ns),
                    outcome=self.outcome,
                    source=client,
                    output=self._outlet(sink),
                    copies=copies,
                    settings=request.poll,
                    stops=stops,
                    clock=self._clock,
                    jitter=random.random,
                )
                beside.cancel_scope.cancel()
        self._say_what_may_surprise()

    def _shown(self, progress: Progress, fd: int, notices: PinnedStream) -> ProgressLine | None:
        """Only for what has an end; its last lines are there at once."""
        request, term = self._request, os.environ.get("TERM", "")
        if request.follow or request.quiet or request.last is not None:
            return None
        if not wants_progress(stdout_fd=fd, stderr=sys.stderr, term=term):
            return None
        return ProgressLine(progress, notices, self._clock, request.form.timezone)

    def _outlet(self, sink: StdoutSink) -> FilteredSink:
        return FilteredSink(sink, self.printed_lines.limited(self._request.line_filter.narrow))

    def write_summary(self, verdict: Verdict, code: int) -> bool:
        """Whether that was done, if it was wanted at all."""
        if self._request.summary is None:
            return True
        summary = summarize(
            self.outcome,
            self.printed_lines,
            self._statistics,
            verdict=verdict,
            exit_code=code,
            started_ns=self._started_ns,
            duration_s=self._clock.monotonic_s() - self._began_s,
        )
        try:
            write_summary(self._request.summary, summary)
        except SinkError as error:
            log.error("summary_failed", error=str(error))  # noqa: TRY400 - no bug
            return False
        return True

    def _say_what_may_surprise(self) -> None:
        """An empty answer looks like a failure, and is most often the default of one hour."""
        if self.outcome.cause is Cause.MAX_LINES:
            log.info("max_lines_reached", lines=self.printed_lines.lines)
        lines = sum(one.totals.lines for one in self.outcome.health.targets.values())
        if self.outcome.cause is not None or self.outcome.errors or lines:
            return
        if self._request.since is None and self._request.last is None:
            reason = "no lines in the last hour; --since 1d looks back further"
        else:
            reason = "no lines in that range"
        log.info("no_lines", reason=reason)


async def _tell(report: str) -> None:
    """On stderr, and with more patience than a notice has: its reader may be slow."""
    if not report or sys.stderr is None:
        return
    stderr = NonBlockingWriter(sys.stderr.fileno(), name="standard error")
    with suppress(SinkError), anyio.move_on_after(_REPORT_GRACE_S):
        try:
            stderr.open()
            await stderr.write(encode(report))
        finally:
            stderr.close()
