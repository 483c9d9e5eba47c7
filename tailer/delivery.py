"""One sink's way through the spool: take batches, write them, remember that. One task a sink."""

from collections.abc import Callable
from typing import Protocol

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from tailer.clock import Clock
from tailer.errors import SinkError, SinkUnavailableError, TransientSinkError
from tailer.health.parts import SinkHealth
from tailer.model import MAX_TOP, Batch, text_bytes
from tailer.sinks.contract import Sink
from tailer.spool.contract import SinkPosition

log = structlog.get_logger()

# A sink has timeouts of its own; a receiver that takes five lines a second is still served.
WRITE_PATIENCE_S = 900.0
_LONGEST_WAIT_S = 30.0  # a mended sink is found again within half a minute
# In one write: as many as the largest batch has, so a sink meets nothing larger than before.
_MOST_LINES = MAX_TOP


class BatchQueue(Protocol):
    """The spool, as far as one sink is concerned; see its contract."""

    async def sink_position(self, sink: str) -> SinkPosition: ...

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]: ...

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None: ...


async def deliver(
    sink: Sink,
    spool: BatchQueue,
    *,
    clock: Clock,
    wanted: Callable[[Batch], Batch],
    health: SinkHealth | None = None,
    patience_s: float = WRITE_PATIENCE_S,
) -> None:
    """Bring every batch to `sink`, in order, until the spool's input has ended and is empty.

    As many at a time as there are, up to a bound: a sink that waits for an answer to each
    write keeps up with a hundred quiet targets.

    `wanted` narrows a batch to the lines that this sink is for; a batch of which nothing
    is left counts as delivered. `health` is told how the sink is; a write that takes longer
    than `patience_s` hangs.

    Resources: opens the sink and closes it, however this ends.

    Errors: TransientSinkError is retried without end, at its own pace: a sink that hangs
    holds up no other. Any other SinkError ends the task, as a SinkUnavailableError when it
    came before the sink was open.
    """
    health = health or SinkHealth(sink.name)
    activity = health.activity
    place = await spool.sink_position(sink.name)
    health.position = place.position
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientSinkError),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT_S),
        sleep=clock.sleep,
        before_sleep=_Trouble(health, clock).tell,
        reraise=True,
    )
    try:
        try:
            activity.start("opening", now_s=clock.monotonic_s(), within_s=patience_s)
            mark: bytes | None = await retrying(sink.open, place.mark)
            _tell_recovered(health, retrying)
        except SinkError as error:
            raise SinkUnavailableError(error.message, hint=error.hint) from error
        if mark != place.mark:
            await spool.commit(sink.name, place.position, mark)
        activity.idle("waiting for lines", now_s=clock.monotonic_s())
        while batches := await spool.next_batches(sink.name, max_lines=_MOST_LINES):
            narrowed = [wanted(batch) for batch in batches]
            lines = [batch for batch in narrowed if batch.entries]
            if lines:
                activity.start("writing", now_s=clock.monotonic_s(), within_s=patience_s)
                mark = await retrying(sink.write, lines)
                _tell_recovered(health, retrying)
            activity.start("noting what it has taken", now_s=clock.monotonic_s())
            await spool.commit(sink.name, batches[-1].position, mark)
            health.position = batches[-1].position
            health.lines += sum(len(batch.entries) for batch in lines)
            health.text_bytes += sum(text_bytes(batch.entries) for batch in lines)
            activity.idle("waiting for lines", now_s=clock.monotonic_s())
    finally:
        health.is_open = False
        activity.idle("closed", now_s=clock.monotonic_s())
        await sink.aclose()


class _Trouble:
    """Tells of it when it begins, and again only when it has become another."""

    def __init__(self, health: SinkHealth, clock: Clock) -> None:
        self._health = health
        self._clock = clock
        self._told = ""

    def tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        error = str(state.outcome.exception())
        self._health.fail(
            error, now_s=self._clock.monotonic_s(), retry_in_s=state.next_action.sleep
        )
        if state.attempt_number == 1 or error != self._told:
            self._told = error
            log.warning("sink_retrying", sink=self._health.name, error=error)


def _tell_recovered(health: SinkHealth, retrying: AsyncRetrying) -> None:
    health.recover()
    attempts = retrying.statistics["attempt_number"]
    if attempts > 1:
        log.info("sink_recovered", sink=health.name, attempts=attempts)
