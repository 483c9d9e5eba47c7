"""Run the pollers, memory spool and sinks of `tailer logs`; defines their shutdown order.

Shutdown order is nesting order: pollers stop first, then the spool's input is closed, then
the sinks drain and end, and last the waits for signals, deadlines and readers.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import anyio
import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.delivery import deliver
from tailer.errors import ReaderGoneError, SinkError, TailerError, leaves
from tailer.logs.outcome import Cause, Outcome
from tailer.logs.stops import Stop
from tailer.model import Batch, Sighted, Target, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.poller import Poller
from tailer.sinks.contract import Sink
from tailer.spool.contract import Spool
from tailer.spool.memory import MemorySpool

log = structlog.get_logger()

# Undelivered lines in memory; the pollers wait while a slow reader keeps the spool full.
_MAX_SPOOL_BYTES = 64 * 1024 * 1024
_DRAIN_TIMEOUT_S = 2.0  # for lines that are already read, after a signal or a timeout


class OutputSink(Sink, Protocol):
    """A sink whose reader may close it."""

    async def reader_gone(self) -> None:
        """Returns once the reader has closed its end."""


@dataclass(frozen=True, slots=True)
class FilteredSink:
    """A sink, and `wanted`, which narrows a batch to its lines; called once a batch, in order."""

    sink: OutputSink
    wanted: Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Which lines of a target to read: [start_ns, end_ns), or follow it when `end_ns` is None.

    `last`: how many of the existing lines to read, counted from the end. `known` is the
    target as found, `sighted` its last sighting since.
    """

    target: Target
    start_ns: int
    end_ns: int | None
    last: int | None = None
    known: Workload | None = None
    sighted: Sighted = lambda: None


FindTargets: TypeAlias = Callable[["Pipeline"], Awaitable[None]]
"""Starts the reads, and returns when all targets are found.

Errors: a TailerError ends the whole run.
"""


def already_found(requests: Sequence[ReadRequest]) -> FindTargets:
    async def find_targets(pipeline: Pipeline) -> None:
        for request in requests:
            pipeline.start(request)

    return find_targets


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """One run. Targets may be started at any time of `run`, which updates `outcome`."""

    outcome: Outcome
    source: LogSource
    settings: PollSettings
    clock: Clock
    jitter: Callable[[], float]
    on_start: Callable[[ReadRequest], None] = lambda _: None
    spool: Spool = field(init=False)
    _polling: TaskGroup = field(init=False)
    _delivering: TaskGroup = field(init=False)
    _started: set[Target] = field(default_factory=set)

    async def run(
        self,
        find_targets: FindTargets,
        *,
        output: FilteredSink,
        copies: Sequence[FilteredSink] = (),
        stops: Sequence[Stop],
    ) -> None:
        """Write the lines of the found targets to all sinks, until all is read or a stop returns.

        A stop cancels the pollers and gives the sinks 2 s for the lines that are already read.
        The reader of `output` closing its end is a stop, too.

        Errors: no TailerError. Errors of a target or of a copy are recorded in `outcome`, and
        the others continue. An error of `find_targets` or of `output` ends the run as its
        `failure`.
        """

        async def output_closed() -> Cause:
            await output.sink.reader_gone()
            return Cause.READER_GONE

        names = [each.sink.name for each in (output, *copies)]
        self.spool = MemorySpool(sinks=names, max_bytes=_MAX_SPOOL_BYTES)
        async with anyio.create_task_group() as waiting_for_stop:
            async with anyio.create_task_group() as self._delivering:
                async with anyio.create_task_group() as self._polling:
                    self._delivering.start_soon(self._deliver, output)
                    for copy in copies:
                        self._delivering.start_soon(self._deliver_copy, copy)
                    for stop in [*stops, output_closed]:
                        waiting_for_stop.start_soon(self._stop_after, stop)
                    self._polling.start_soon(self._find, find_targets)
                self.spool.close_input()
            waiting_for_stop.cancel_scope.cancel()

    def start(self, request: ReadRequest) -> None:
        """Start to read, unless the target was started before."""
        if request.target not in self._started:
            self._started.add(request.target)
            self.on_start(request)
            self._polling.start_soon(self._poll, request)

    def fail(self, name: str, error: TailerError) -> None:
        """Report that one target failed; the others continue."""
        log.error("target_failed", target=name, error=str(error))
        self.outcome.errors.append(error)

    async def _find(self, find_targets: FindTargets) -> None:
        try:
            await find_targets(self)
        except* TailerError as errors:
            first = next(leaves(errors))
            assert isinstance(first, TailerError)
            self._stop(failure=first)

    async def _stop_after(self, stop: Stop) -> None:
        self._stop(cause=await stop())

    async def _deliver(self, output: FilteredSink) -> None:
        try:
            await deliver(output.sink, self.spool, clock=self.clock, wanted=output.wanted)
        except ReaderGoneError:
            self._stop(cause=Cause.READER_GONE)
        except SinkError as error:
            self._stop(failure=error)

    async def _deliver_copy(self, copy: FilteredSink) -> None:
        """A failed copy is skipped from then on, so that it does not fill the spool."""
        name = copy.sink.name
        try:
            await deliver(copy.sink, self.spool, clock=self.clock, wanted=copy.wanted)
        except ReaderGoneError:
            log.info("tee_reader_closed", file=name)
        except SinkError as error:
            log.error("tee_failed", file=name, error=str(error))  # noqa: TRY400 - no bug
            self.outcome.errors.append(error)
        while batches := await self.spool.next_batches(name, max_lines=1):
            await self.spool.commit(name, batches[-1].position, None)

    def _stop(self, *, cause: Cause | None = None, failure: TailerError | None = None) -> None:
        """Record the first reason only: later ones are consequences of stopping."""
        if self.outcome.cause is not None or self.outcome.failure is not None:
            return
        self.outcome.cause, self.outcome.failure = cause, failure
        if failure is not None:
            self.outcome.errors.insert(0, failure)
        self._polling.cancel_scope.cancel()
        self._delivering.cancel_scope.deadline = anyio.current_time() + _DRAIN_TIMEOUT_S

    async def _poll(self, request: ReadRequest) -> None:
        target, start_ns, last = request.target, request.start_ns, request.last
        poller = Poller(
            target=target,
            source=self.source,
            spool=self.spool,
            clock=self.clock,
            health=self.outcome.health.of(target),
            settings=self.settings,
            jitter=self.jitter,
            details=request.known,
            sighted=request.sighted,
        )
        try:
            if request.end_ns is None:
                status = await poller.follow(start=lambda _: start_ns, last=last)
                self.outcome.verdicts[target] = status
            else:
                await poller.read(start_ns=start_ns, end_ns=request.end_ns, last=last)
        except TailerError as error:
            self.fail(target.name, error)
        await self.spool.retire(target)
