"""Delivery loop of one sink: take batches from the spool, write, commit, retry."""

from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from tailer.backoff import OutageNotice
from tailer.clock import Clock
from tailer.errors import SinkError, SinkUnavailableError, TransientSinkError
from tailer.health.parts import SinkHealth
from tailer.model import MAX_TOP, Batch, text_bytes
from tailer.sinks.contract import Sink
from tailer.spool.contract import BatchQueue

# Sinks have timeouts of their own; a receiver that takes five lines a second is not stalled.
WRITE_TIMEOUT_S = 900.0
_MAX_RETRY_PAUSE_S = 30.0  # a recovery is noticed at most this much later
_MAX_LINES_PER_WRITE = MAX_TOP  # the size of the largest batch


async def deliver(
    sink: Sink,
    spool: BatchQueue,
    *,
    clock: Clock,
    wanted: Callable[[Batch], Batch],
    health: SinkHealth | None = None,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> None:
    """Write every batch to `sink`, in order, until the spool's input is closed and empty.

    One write takes all pending batches up to MAX_TOP lines: a sink that waits for an
    acknowledgment of each write keeps up with a hundred targets of a line each.

    `wanted` filters the lines of a batch; a batch without wanted lines counts as delivered.
    A write that takes longer than `write_timeout_s` is reported as stalled in `health`.

    Resources: opens the sink and always closes it.

    Errors: TransientSinkError is retried without end. Any other SinkError ends the task, as
    a SinkUnavailableError if the sink was not open yet.
    """
    health = health or SinkHealth(sink.name)
    activity = health.activity
    stored = await spool.sink_position(sink.name)
    health.position = stored.position
    notice = OutageNotice(
        "sink_retrying",
        "sink_recovered",
        fields={"sink": sink.name},
        clock=clock,
        after_s=0.0,
        each_error=True,
    )

    def report_failure(state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        error, retry_in_s = state.outcome.exception(), state.next_action.sleep
        assert isinstance(error, TransientSinkError)
        health.fail(str(error), now_s=clock.monotonic_s(), retry_in_s=retry_in_s)
        notice(error, retry_in_s)

    def report_success() -> None:
        health.recover()
        notice.end()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientSinkError),
        wait=wait_random_exponential(multiplier=0.2, max=_MAX_RETRY_PAUSE_S),
        sleep=clock.sleep,
        before_sleep=report_failure,
        reraise=True,
    )
    try:
        try:
            activity.start("opening", now_s=clock.monotonic_s(), within_s=write_timeout_s)
            mark: bytes | None = await retrying(sink.open, stored.mark)
        except SinkError as error:
            raise SinkUnavailableError(error.message, hint=error.hint) from error
        report_success()
        if mark != stored.mark:
            await spool.commit(sink.name, stored.position, mark)
        activity.idle("waiting for lines", now_s=clock.monotonic_s())
        while batches := await spool.next_batches(sink.name, max_lines=_MAX_LINES_PER_WRITE):
            filtered = [wanted(batch) for batch in batches]
            to_write = [batch for batch in filtered if batch.entries]
            if to_write:
                activity.start("writing", now_s=clock.monotonic_s(), within_s=write_timeout_s)
                mark = await retrying(sink.write, to_write)
                report_success()
            activity.start("storing its position", now_s=clock.monotonic_s())
            await spool.commit(sink.name, batches[-1].position, mark)
            health.position = batches[-1].position
            health.lines += sum(len(batch.entries) for batch in to_write)
            health.text_bytes += sum(text_bytes(batch.entries) for batch in to_write)
            activity.idle("waiting for lines", now_s=clock.monotonic_s())
    finally:
        health.is_open = False
        activity.idle("closed", now_s=clock.monotonic_s())
        await sink.aclose()
