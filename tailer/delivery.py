"""One sink's way through the spool: take batches, write them, remember that. One task a sink."""

from collections.abc import Callable

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from tailer.clock import Clock
from tailer.errors import SinkError, SinkUnavailableError, TransientSinkError
from tailer.model import MAX_TOP, Batch
from tailer.sinks.contract import Sink
from tailer.spool.contract import Spool

log = structlog.get_logger()

_LONGEST_WAIT_S = 30.0  # a mended sink is found again within half a minute
# In one write: as many as the largest batch has, so a sink meets nothing larger than before.
_MOST_LINES = MAX_TOP


async def deliver(
    sink: Sink, spool: Spool, *, clock: Clock, wanted: Callable[[Batch], Batch]
) -> None:
    """Bring every batch to `sink`, in order, until the spool's input has ended and is empty.

    As many at a time as there are, up to a bound: a sink that waits for an answer to each
    write keeps up with a hundred quiet targets.

    `wanted` narrows a batch to the lines that this sink is for; a batch of which nothing
    is left counts as delivered.

    Resources: opens the sink and closes it, however this ends.

    Errors: TransientSinkError is retried without end, at its own pace: a sink that hangs
    holds up no other. Any other SinkError ends the task, as a SinkUnavailableError when it
    came before the sink was open.
    """
    place = await spool.sink_place(sink.name)
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientSinkError),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT_S),
        sleep=clock.sleep,
        before_sleep=_Trouble(sink.name).tell,
        reraise=True,
    )
    try:
        try:
            mark: bytes | None = await retrying(sink.open, place.mark)
            _tell_recovered(sink, retrying)
        except SinkError as error:
            raise SinkUnavailableError(error.message, hint=error.hint) from error
        if mark != place.mark:
            await spool.commit(sink.name, place.position, mark)
        while batches := await spool.next_batches(sink.name, max_lines=_MOST_LINES):
            narrowed = [wanted(batch) for batch in batches]
            lines = [batch for batch in narrowed if batch.entries]
            if lines:
                mark = await retrying(sink.write, lines)
                _tell_recovered(sink, retrying)
            await spool.commit(sink.name, batches[-1].position, mark)
    finally:
        await sink.aclose()


class _Trouble:
    """Tells of it when it begins, and again only when it has become another."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._told = ""

    def tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        error = str(state.outcome.exception())
        if state.attempt_number == 1 or error != self._told:
            self._told = error
            log.warning("sink_backing_off", sink=self._sink, error=error)


def _tell_recovered(sink: Sink, retrying: AsyncRetrying) -> None:
    attempts = retrying.statistics["attempt_number"]
    if attempts > 1:
        log.info("sink_recovered", sink=sink.name, attempts=attempts)
