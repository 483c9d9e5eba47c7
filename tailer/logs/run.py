"""One run of `tailer logs`: connect client, sinks and targets, then report and write --summary."""

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
from tailer.logs.pipeline import FilteredSink, Pipeline
from tailer.logs.printed import PrintedLines
from tailer.logs.progress import PinnedStream, Progress, show_progress, wants_progress
from tailer.logs.report import closing_report
from tailer.logs.request import LogsRequest
from tailer.logs.stops import Stop, signaled, timed_out
from tailer.logs.summary import summarize, write_summary
from tailer.logs.targets import TargetSearch
from tailer.sinks.stdout import NonBlockingWriter, StdoutSink
from tailer.text import encode

log = structlog.get_logger()

Service: TypeAlias = AbstractAsyncContextManager[tuple[AiCoreClient, tuple[str, ...]]]
"""A client, and the resource groups to search."""

_REPORT_TIMEOUT_S = 2.0  # for a slow reader of stderr


async def run_logs_command(
    request: LogsRequest, service: Service, fd: int, tee_fd: int | None, notices: PinnedStream
) -> int:
    """Run the command with its checked flags. Writes the summary, whatever ends the run.

    Raises: TailerError.
    """
    run = _Run(request, SystemClock())
    verdict, code = Verdict.FAILED, 1
    try:
        await run.read(service, fd, tee_fd, notices)
        verdict, code = run.outcome.result
        if request.follow:
            report = closing_report(
                run.outcome, run.printed, quiet=request.quiet, in_color=request.colors_stderr
            )
            await _write_to_stderr(report)
    except TailerError as error:
        run.outcome.errors.insert(0, error)
        code = error.exit_code
        raise
    except anyio.get_cancelled_exc_class():  # SIGINT before its receiver is open
        verdict, code = Cause.SIGINT.verdict, Cause.SIGINT.exit_code
        raise
    finally:
        is_written = run.write_summary(verdict, code)
    if run.outcome.failure is not None:
        raise run.outcome.failure
    return code if is_written else code or SinkError.exit_code


class _Run:
    """State of a run, updated so that the summary can be written at any time."""

    def __init__(self, request: LogsRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._started_ns, self._started_s = clock.wall_ns(), clock.monotonic_s()
        self._statistics = RequestStatistics()
        self.outcome = Outcome()
        self.printed = PrintedLines(context=request.error_context, max_lines=request.max_lines)

    async def read(
        self, service: Service, fd: int, tee_fd: int | None, notices: PinnedStream
    ) -> None:
        request, clock = self._request, self._clock
        stops: list[Stop] = [signaled, self.printed.limit_reached]
        if request.timeout_s is not None:
            stops.append(timed_out(request.timeout_s, clock))
        async with service as (client, groups):
            self._statistics = client.statistics
            search = TargetSearch(client, request, groups, clock)
            form = search.formatter(request.form)
            output = StdoutSink(fd, form, on_written=self.printed.record)
            copies = []
            if tee_fd is not None:
                form = search.formatter(request.tee_form)
                copies.append(self._limited(StdoutSink(tee_fd, form, name=f"--tee {request.tee}")))
            progress = Progress(self.outcome.health)
            async with anyio.create_task_group() as background:
                if wants_progress(request, stdout_fd=fd):
                    timezone = request.form.timezone
                    background.start_soon(show_progress, progress, notices, clock, timezone)
                pipeline = Pipeline(
                    outcome=self.outcome,
                    source=client,
                    settings=request.poll,
                    clock=clock,
                    jitter=random.random,
                    on_start=lambda read: progress.expect(read, now_ns=search.now_ns()),
                )
                await pipeline.run(
                    search.find, output=self._limited(output), copies=copies, stops=stops
                )
                background.cancel_scope.cancel()
        self._log_result()

    def _limited(self, sink: StdoutSink) -> FilteredSink:
        return FilteredSink(sink, self.printed.limited(self._request.line_filter.narrow))

    def write_summary(self, verdict: Verdict, code: int) -> bool:
        """False if --summary was given and cannot be written."""
        if self._request.summary is None:
            return True
        summary = summarize(
            self.outcome,
            self.printed,
            self._statistics,
            verdict=verdict,
            exit_code=code,
            started_ns=self._started_ns,
            duration_s=self._clock.monotonic_s() - self._started_s,
        )
        try:
            write_summary(self._request.summary, summary)
        except SinkError as error:
            log.error("summary_failed", error=str(error))  # noqa: TRY400 - no bug
            return False
        return True

    def _log_result(self) -> None:
        """Explain a missing output: most often the default time range of one hour."""
        if self.outcome.cause is Cause.MAX_LINES:
            log.info("max_lines_reached", lines=self.printed.lines)
        lines = sum(health.totals.lines for health in self.outcome.health.targets.values())
        if self.outcome.cause is not None or self.outcome.errors or lines:
            return
        if self._request.since is None and self._request.last is None:
            reason = "no lines in the last hour; --since 1d looks back further"
        else:
            reason = "no lines in that range"
        log.info("no_lines", reason=reason)


async def _write_to_stderr(report: str) -> None:
    if not report or sys.stderr is None:
        return
    stderr = NonBlockingWriter(sys.stderr.fileno(), name="standard error")
    with suppress(SinkError), anyio.move_on_after(_REPORT_TIMEOUT_S):
        try:
            stderr.open()
            await stderr.write(encode(report))
        finally:
            stderr.close()
