"""The composition root of a terminal: builds the parts, wires them, ends them in order.

Ending is nesting: pollers stop first, then
the spool's input is closed, then the sinks drain and end by themselves.
"""

import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.delivery import deliver
from tailer.errors import ReaderGoneError, TailerError
from tailer.health import Health
from tailer.model import Batch, Kind, Status, Target
from tailer.poller import Poller
from tailer.sinks.contract import Sink
from tailer.spool.memory import MemorySpool
from tailer.target_logs import LogSource

log = structlog.get_logger()

EXIT_GAP = 6
EXIT_TIMEOUT = 124
_EXIT_OF_VERDICT = {Status.DEAD: 10, Status.STOPPED: 11}
_EXIT_OF_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}

# Lines that wait for a reader of our output; then the pollers wait too.
_MAX_SPOOL_BYTES = 64 * 1024 * 1024
# After a signal or a timeout, for what is already read; a blocked reader gets no more.
_GRACE_S = 2.0


Stop = Callable[[Health], Awaitable[int]]
"""Returns when it is time to stop, with the exit code that says why."""


class OutputSink(Sink, Protocol):
    """A sink with a reader who may leave."""

    async def reader_gone(self) -> None:
        """Returns once the reader has left."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is wanted of one target. `end_ns` None means to follow it; `last` its last lines."""

    target: Target
    start_ns: int
    end_ns: int | None
    last: int | None = None


@dataclass(slots=True)
class Outcome:
    """How it went, and the exit code that says so."""

    health: Health = field(default_factory=Health)
    verdicts: dict[Target, Status] = field(default_factory=dict)
    errors: list[TailerError] = field(default_factory=list)
    interruption: int | None = None

    @property
    def exit_code(self) -> int:
        if self.interruption is not None:
            return self.interruption
        if self.errors:
            return self.errors[0].exit_code
        verdicts = {
            status for target, status in self.verdicts.items() if target.kind is Kind.EXECUTION
        }
        for status, code in _EXIT_OF_VERDICT.items():
            if status in verdicts:
                return code
        return EXIT_GAP if self.health.gaps else 0


async def run_logs(
    readings: Sequence[Reading],
    *,
    source: LogSource,
    sink: OutputSink,
    wanted: Callable[[Batch], Batch],
    settings: PollSettings,
    stops: Sequence[Stop],
    clock: Clock,
    jitter: Callable[[], float],
) -> Outcome:
    """Bring what `readings` ask for to `sink`, until all is read or one of `stops` returns.

    A stop ends the pollers and gives the sink a moment for what was already read.

    Errors: of a target, in the outcome, while the others go on. SinkError at once,
    ReaderGoneError among them.
    """
    outcome = Outcome()
    spool = MemorySpool(sinks=[sink.name], max_bytes=_MAX_SPOOL_BYTES)

    async def poll(reading: Reading) -> None:
        target = reading.target
        poller = Poller(
            target,
            source=source,
            spool=spool,
            clock=clock,
            health=outcome.health.of(target),
            settings=settings,
            jitter=jitter,
        )
        try:
            if reading.end_ns is None:
                outcome.verdicts[target] = await poller.follow(
                    start=lambda _: reading.start_ns, last=reading.last
                )
            else:
                await poller.read(
                    start_ns=reading.start_ns, end_ns=reading.end_ns, last=reading.last
                )
        except TailerError as error:
            log.error("target_failed", target=target.name, why=str(error))  # noqa: TRY400 - no bug
            outcome.errors.append(error)

    async with anyio.create_task_group() as delivering:
        async with anyio.create_task_group() as polling:

            async def stop_after(await_stop: Stop) -> None:
                outcome.interruption = await await_stop(outcome.health)
                polling.cancel_scope.cancel()
                delivering.cancel_scope.deadline = anyio.current_time() + _GRACE_S

            delivering.start_soon(_deliver, delivering, sink, spool, clock, wanted)
            delivering.start_soon(_leave_with_reader, sink)
            for await_stop in stops:
                delivering.start_soon(stop_after, await_stop)
            for reading in readings:
                polling.start_soon(poll, reading)
        spool.close_input()
    return outcome


async def _deliver(
    delivering: TaskGroup,
    sink: OutputSink,
    spool: MemorySpool,
    clock: Clock,
    wanted: Callable[[Batch], Batch],
) -> None:
    await deliver(sink, spool, clock=clock, wanted=wanted)
    delivering.cancel_scope.cancel()  # nobody waits for signals or deadlines any more


async def _leave_with_reader(sink: OutputSink) -> None:
    await sink.reader_gone()
    raise ReaderGoneError("the reader of our output has left")


async def signalled(_: Health) -> int:
    """A Stop: the first SIGINT or SIGTERM. The second meets the system's default."""
    with anyio.open_signal_receiver(*_EXIT_OF_SIGNAL) as signals:
        async for number in signals:
            return _EXIT_OF_SIGNAL[number]
    raise AssertionError("signals never end")


def timed_out(timeout_s: float, clock: Clock) -> Stop:
    """A Stop: so much time has passed."""

    async def await_timeout(_: Health) -> int:
        await clock.sleep(timeout_s)
        return EXIT_TIMEOUT

    return await_timeout
