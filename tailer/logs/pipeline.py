"""The composition root of a terminal: builds the parts, wires them, ends them in order.

Ending is nesting: pollers stop first, then the spool's input is closed, then the sinks
drain and end by themselves, and nobody waits for signals or deadlines any more.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.delivery import deliver
from tailer.errors import ReaderGoneError, SinkError, TailerError
from tailer.logs.outcome import Cause, Outcome
from tailer.logs.stops import Stop
from tailer.model import Batch, Sighted, Target, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.poller import Poller
from tailer.sinks.contract import Sink
from tailer.spool.contract import Spool
from tailer.spool.memory import MemorySpool

log = structlog.get_logger()

# Lines that wait for a reader of our output; then the pollers wait too.
_MAX_SPOOL_BYTES = 64 * 1024 * 1024
# After a signal or a timeout, for what is already read; a blocked reader gets no more.
_GRACE_S = 2.0


class OutputSink(Sink, Protocol):
    """A sink with a reader who may leave."""

    async def reader_gone(self) -> None:
        """Returns once the reader has left."""


@dataclass(frozen=True, slots=True)
class FilteredSink:
    """A sink and the lines of a batch that it wants. Asked once for each batch, in order."""

    sink: OutputSink
    wanted: Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is wanted of one target. `end_ns` None means to follow it; `last` its last lines.

    `known` is the target as it was found, `sighted` its last sighting since.
    """

    target: Target
    start_ns: int
    end_ns: int | None
    last: int | None = None
    known: Workload | None = None
    sighted: Sighted = lambda: None


class Arrivals(Protocol):
    """Told of targets as they are found, at any time of a run. `spool` knows all of them."""

    @property
    def spool(self) -> Spool: ...

    def begin(self, reading: Reading) -> None:
        """Read this from now on. A target that is read already is not read twice."""

    def fail(self, name: str, error: TailerError) -> None:
        """That one will not be found; the others go on."""


FindTargets = Callable[[Arrivals], Awaitable[None]]
"""Finds what is to be read, and returns when there is no more to come.

Errors: a TailerError ends the whole run.
"""


def already_found(readings: Sequence[Reading]) -> FindTargets:
    async def seek(arrivals: Arrivals) -> None:
        for reading in readings:
            arrivals.begin(reading)

    return seek


async def run_logs(
    seek: FindTargets,
    *,
    outcome: Outcome,
    source: LogSource,
    output: FilteredSink,
    copies: Sequence[FilteredSink] = (),
    settings: PollSettings,
    stops: Sequence[Stop],
    clock: Clock,
    jitter: Callable[[], float],
) -> None:
    """Bring what `seek` finds to all outlets, until all is read or one of `stops` returns.

    A stop ends the pollers and gives the sinks a moment for what was already read; so does
    a reader of `output` who leaves. How it went is in `outcome`, also while it runs.

    Errors: none of ours. That of a target is in the outcome, while the others go on; so is
    that of a copy. One of `seek` or of `output` ends the run and is its `failure`.
    """
    outlets = [output, *copies]
    spool = MemorySpool(sinks=[one.sink.name for one in outlets], max_bytes=_MAX_SPOOL_BYTES)

    def poller_for(reading: Reading) -> Poller:
        return Poller(
            target=reading.target,
            source=source,
            spool=spool,
            clock=clock,
            health=outcome.health.of(reading.target),
            settings=settings,
            jitter=jitter,
            details=reading.known,
            sighted=reading.sighted,
        )

    async with anyio.create_task_group() as watching:
        async with anyio.create_task_group() as delivering:
            async with anyio.create_task_group() as polling:
                run = _Run(outcome, spool, poller_for, polling=polling, delivering=delivering)
                delivering.start_soon(run.deliver, output, spool, clock)
                for copy in copies:
                    delivering.start_soon(run.deliver_copy, copy, spool, clock)
                for stop in [*stops, _left_by_reader(output.sink)]:
                    watching.start_soon(run.end_after, stop)
                polling.start_soon(run.seek, seek)
            spool.close_input()
        watching.cancel_scope.cancel()


class _Run:
    """The tasks of a run, as far as they tell its outcome."""

    def __init__(
        self,
        outcome: Outcome,
        spool: Spool,
        poller_for: Callable[[Reading], Poller],
        *,
        polling: TaskGroup,
        delivering: TaskGroup,
    ) -> None:
        self._outcome = outcome
        self._spool = spool
        self._poller_for = poller_for
        self._polling = polling
        self._delivering = delivering
        self._begun: set[Target] = set()

    @property
    def spool(self) -> Spool:
        return self._spool

    def begin(self, reading: Reading) -> None:
        if reading.target not in self._begun:
            self._begun.add(reading.target)
            self._polling.start_soon(self._poll, reading)

    def fail(self, name: str, error: TailerError) -> None:
        log.error("target_failed", target=name, error=str(error))
        self._outcome.errors.append(error)

    def end(self, *, cause: Cause | None = None, failure: TailerError | None = None) -> None:
        """The first reason counts: what else happens on the way out is a consequence."""
        if self._outcome.cause is not None or self._outcome.failure is not None:
            return
        self._outcome.cause, self._outcome.failure = cause, failure
        if failure is not None:
            self._outcome.errors.insert(0, failure)
        self._polling.cancel_scope.cancel()
        self._delivering.cancel_scope.deadline = anyio.current_time() + _GRACE_S

    async def end_after(self, stop: Stop) -> None:
        self.end(cause=await stop())

    async def seek(self, seek: FindTargets) -> None:
        try:
            await seek(self)
        except* TailerError as errors:
            self.end(failure=_first_of(errors))

    async def _poll(self, reading: Reading) -> None:
        target, poller = reading.target, self._poller_for(reading)
        try:
            if reading.end_ns is None:
                self._outcome.verdicts[target] = await poller.follow(
                    start=lambda _: reading.start_ns, last=reading.last
                )
            else:
                await poller.read(
                    start_ns=reading.start_ns, end_ns=reading.end_ns, last=reading.last
                )
        except TailerError as error:
            self.fail(target.name, error)
        await self._spool.retire(target)

    async def deliver(self, output: FilteredSink, spool: Spool, clock: Clock) -> None:
        try:
            await deliver(output.sink, spool, clock=clock, wanted=output.wanted)
        except ReaderGoneError:
            self.end(cause=Cause.READER_GONE)
        except SinkError as error:
            self.end(failure=error)

    async def deliver_copy(self, copy: FilteredSink, spool: Spool, clock: Clock) -> None:
        """A copy that cannot be written goes no further, but holds up nothing else."""
        name = copy.sink.name
        try:
            await deliver(copy.sink, spool, clock=clock, wanted=copy.wanted)
        except ReaderGoneError:
            log.info("tee_reader_closed", file=name)
        except SinkError as error:
            log.error("tee_failed", file=name, error=str(error))  # noqa: TRY400 - no bug
            self._outcome.errors.append(error)
        while batches := await spool.next_batches(name, max_lines=1):
            await spool.commit(name, batches[-1].position, None)


def _first_of(errors: ExceptionGroup[TailerError]) -> TailerError:
    first = errors.exceptions[0]
    return _first_of(first) if isinstance(first, ExceptionGroup) else first


def _left_by_reader(sink: OutputSink) -> Stop:
    async def await_leaving() -> Cause:
        await sink.reader_gone()
        return Cause.READER_GONE

    return await_leaving
