"""`tailer logs` at work: finds the targets, follows them, and tells how it went.

Long, because all that a run needs is put together here, and nowhere else.
"""

import os
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import anyio
import structlog

from tailer.aicore.client import AiCoreClient
from tailer.aicore.traffic import Traffic
from tailer.awaiting import await_target
from tailer.cli.access import credentials_for, groups_for
from tailer.cli.closing_report import closing_report
from tailer.cli.logs_request import LogsRequest, plan
from tailer.cli.progress import Progress, ProgressLine, noted, wants_progress
from tailer.cli.selected import SelectedTargets
from tailer.cli.service import Hiccups, client_for
from tailer.cli.stderr import NoticeStream
from tailer.cli.streams import wants_colour
from tailer.cli.summary import summarise, write_summary
from tailer.cli.wording import duration_text
from tailer.clock import Clock, SystemClock
from tailer.discovery import find_target, kinds_and_id
from tailer.errors import NotFoundError, SinkError, TailerError
from tailer.model import Batch, Target, Workload
from tailer.outcome import Cause, Outcome, Verdict
from tailer.sinks.descriptor import Descriptor
from tailer.sinks.escape import encode
from tailer.sinks.format import FormatSettings, Formatter, build_formatter
from tailer.sinks.stdout import StdoutSink
from tailer.stops import Stop, signalled, timed_out
from tailer.tally import Tally
from tailer.terminal import Arrivals, Outlet, run_logs

log = structlog.get_logger()

_REPORT_GRACE_S = 2.0  # for a reader of stderr; then the exit code has to do


async def follow_up(
    request: LogsRequest, fd: int, tee_fd: int | None, notices: NoticeStream
) -> int:
    """The whole command but its flags. However it ends, the summary is written.

    Raises: TailerError.
    """
    run = _Run(request, SystemClock())
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    colour = wants_colour(request.color, os.environ, is_terminal=is_terminal)
    verdict, code = Verdict.FAILED, 1
    try:
        await run.follow(fd, tee_fd, notices)
        verdict, code = run.outcome.verdict, run.outcome.exit_code
        if request.follow:
            await _tell(closing_report(run.outcome, run.tally, quiet=request.quiet, colour=colour))
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
        self._traffic = Traffic()
        self.outcome = Outcome()
        self.tally = Tally(context=request.error_context, max_lines=request.max_lines)

    async def follow(self, fd: int, tee_fd: int | None, notices: NoticeStream) -> None:
        request = self._request
        credentials = credentials_for(request.service_key_file)
        stops: list[Stop] = [signalled, self.tally.enough]
        if request.timeout_s is not None:
            stops.append(timed_out(request.timeout_s, self._clock))
        async with client_for(credentials) as client:
            self._traffic = client.traffic
            search = _Search(
                client, request, groups_for(request.resource_groups, credentials), self._clock
            )
            sink = StdoutSink(fd, search.formatter(request.form), on_written=self.tally.note)
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

    def _shown(self, progress: Progress, fd: int, notices: NoticeStream) -> ProgressLine | None:
        """Only for what has an end; its last lines are there at once."""
        request, term = self._request, os.environ.get("TERM", "")
        if request.follow or request.quiet or request.last is not None:
            return None
        if not wants_progress(stdout_fd=fd, stderr=sys.stderr, term=term):
            return None
        return ProgressLine(progress, notices, self._clock, request.form.timezone)

    def _outlet(self, sink: StdoutSink) -> Outlet:
        return Outlet(sink, self.tally.limited(self._request.line_filter.narrow))

    def write_summary(self, verdict: Verdict, code: int) -> bool:
        """Whether that was done, if it was wanted at all."""
        if self._request.summary is None:
            return True
        summary = summarise(
            self.outcome,
            self.tally,
            self._traffic,
            verdict=verdict,
            exit_code=code,
            started_ns=self._started_ns,
            duration_s=self._clock.monotonic_s() - self._began_s,
        )
        try:
            write_summary(self._request.summary, summary)
        except SinkError as error:
            log.error("summary_failed", why=str(error))  # noqa: TRY400 - no bug
            return False
        return True

    def _say_what_may_surprise(self) -> None:
        """An empty answer looks like a failure, and is most often the default of one hour."""
        if self.outcome.cause is Cause.MAX_LINES:
            log.info("enough", lines=self.tally.lines)
        lines = sum(one.lines for one in self.outcome.health.targets.values())
        if self.outcome.cause is not None or self.outcome.errors or lines:
            return
        if self._request.since is None and self._request.last is None:
            why = "no lines in the last hour; --since 1d looks back further"
        else:
            why = "no lines in that range"
        log.info("nothing_found", why=why)


class _Search:
    """Finds the targets that were named, now or within `--wait`."""

    def __init__(
        self, client: AiCoreClient, request: LogsRequest, groups: Sequence[str], clock: Clock
    ) -> None:
        self._client = client
        self._request = request
        self._groups = groups
        self._clock = clock
        self._selected: SelectedTargets | None = None
        if request.selector is not None:
            selector = replace(
                request.selector, resource_groups=None if request.all_groups else tuple(groups)
            )
            self._selected = SelectedTargets(client, request, selector, clock)
        self._deadline_s = clock.monotonic_s() + (request.wait_s or 0.0)
        self._watched: list[Target] = []

    def formatter(self, form: FormatSettings) -> Formatter:
        """Built with the first lines, when it is known how many targets must be told apart."""
        built: list[Formatter] = []

        def write(batch: Batch) -> bytes:
            if not built:
                built.append(build_formatter(form, self._watched))
            return built[0](batch)

        return write

    def now_ns(self) -> int:
        """By the service's clock, once it has been asked anything."""
        known_ns = self._client.server_now_ns()
        return self._clock.wall_ns() if known_ns is None else known_ns

    async def seek(self, arrivals: Arrivals) -> None:
        """A Seek. All that are there first, so that a slip in one name ends it before a line."""
        if self._request.names and self._request.all_groups:
            self._groups = await self._client.resource_groups(on_trouble=Hiccups())
        missing: list[str] = []
        found: list[Workload] = []
        for name in dict.fromkeys(self._request.names):
            try:
                found += await find_target(
                    self._client, name, resource_groups=self._groups, on_trouble=Hiccups()
                )
            except NotFoundError:
                if self._request.wait_s is None:
                    raise
                missing.append(name)
        self._expect(missing)
        self._begin(found, arrivals)
        async with anyio.create_task_group() as seeking:
            seeking.start_soon(self._seek_missing, missing, arrivals)
            if self._selected is not None:
                seeking.start_soon(self._selected.seek, arrivals)

    async def _seek_missing(self, missing: Sequence[str], arrivals: Arrivals) -> None:
        failures: dict[str, TailerError] = {}

        async def wait_for(name: str) -> None:
            try:
                self._begin(await self._await_target(name), arrivals)
            except TailerError as error:
                failures[name] = error

        async with anyio.create_task_group() as waiting:
            for name in missing:
                waiting.start_soon(wait_for, name)
        is_all = len(failures) == len(dict.fromkeys(self._request.names))
        if failures and is_all and self._selected is None:
            raise next(iter(failures.values()))
        for name, error in failures.items():
            arrivals.fail(name, error)

    async def _await_target(self, name: str) -> list[Workload]:
        log.info("waiting", target=name, why="it does not exist yet")
        try:
            return await await_target(
                self._client,
                name,
                resource_groups=self._groups,
                deadline_s=self._deadline_s,
                clock=self._clock,
                on_trouble=Hiccups(),
            )
        except NotFoundError as error:
            waited = duration_text(self._request.wait_s or 0.0)
            raise NotFoundError(
                f"{error.message}, after waiting for {waited}", hint=error.hint
            ) from error

    def _expect(self, names: Sequence[str]) -> None:
        for name in names:
            kinds, id_ = kinds_and_id(name)
            if len(kinds) == len(self._groups) == 1:
                self._watched.append(Target(self._groups[0], kinds[0], id_))

    def _begin(self, found: Sequence[Workload], arrivals: Arrivals) -> None:
        if not found:
            return
        now_ns = self._client.server_now_ns()
        assert now_ns is not None, "the targets were looked up"
        self._watched += [workload.target for workload in found]
        for reading in plan(self._request, found, now_ns=now_ns):
            arrivals.begin(reading)


async def _tell(report: str) -> None:
    """On stderr, and with more patience than a notice has: its reader may be slow."""
    if not report or sys.stderr is None:
        return
    stderr = Descriptor(sys.stderr.fileno(), name="standard error")
    with suppress(SinkError), anyio.move_on_after(_REPORT_GRACE_S):
        try:
            stderr.open()
            await stderr.write(encode(report))
        finally:
            stderr.close()
