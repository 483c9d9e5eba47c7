from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import anyio
import pytest
from structlog.testing import capture_logs
from support.fakes import TARGET, MemorySink, SlowSink, transient_failure
from support.virtual_time import VirtualClock

from tailer.delivery import deliver
from tailer.errors import SinkError, TransientSinkError
from tailer.model import MAX_TOP, Batch, Entry, Kind, Target
from tailer.spool.memory import MemorySpool


def everything(batch: Batch) -> Batch:
    return batch


async def spool_with(*messages: str, sinks: tuple[str, ...] = ("memory",)) -> MemorySpool:
    spool = MemorySpool(sinks=sinks, max_bytes=10**9)
    for number, message in enumerate(messages):
        await spool.append(TARGET, [Entry(msg=message)], [number], watermark_ns=0)
    spool.close_input()
    return spool


def lines(sink: MemorySink) -> list[object]:
    return [entry.msg for entry in sink.lines]


async def test_a_sink_gets_every_batch_in_order_and_is_closed_at_the_end(
    clock: VirtualClock,
) -> None:
    sink = MemorySink()

    await deliver(sink, await spool_with("a", "b", "c"), clock=clock, wanted=everything)

    assert lines(sink) == ["a", "b", "c"]
    assert not sink.is_open


async def test_a_batch_counts_as_delivered_with_the_mark_that_the_sink_gave(
    clock: VirtualClock,
) -> None:
    spool = await spool_with("a", "b")

    await deliver(MemorySink(), spool, clock=clock, wanted=everything)

    place = await spool.sink_position("memory")
    assert (place.position, place.mark) == (2, b"2")


async def test_a_sink_gets_back_its_last_mark(clock: VirtualClock) -> None:
    spool = await spool_with("a")
    await spool.commit("memory", 1, b"17")
    sink = MemorySink()

    await deliver(sink, spool, clock=clock, wanted=everything)

    assert sink.opened_with == b"17"


async def test_a_batch_without_a_matching_line_is_skipped_and_keeps_the_mark(
    clock: VirtualClock,
) -> None:
    spool = await spool_with("a", "b")
    sink = MemorySink()

    def only_a(batch: Batch) -> Batch:
        return replace(batch, entries=tuple(one for one in batch.entries if one.msg == "a"))

    await deliver(sink, spool, clock=clock, wanted=only_a)

    assert lines(sink) == ["a"]
    assert await spool.sink_position("memory") == replace(
        await spool.sink_position("memory"), position=2, mark=b"1"
    )


async def test_a_transient_failure_is_retried_until_the_batch_is_written(
    clock: VirtualClock,
) -> None:
    failures = iter([transient_failure(), transient_failure(), transient_failure()])
    sink = MemorySink(fails=lambda: next(failures, None))

    await deliver(sink, await spool_with("a", "b"), clock=clock, wanted=everything)

    assert lines(sink) == ["a", "b"]


async def test_small_batches_of_a_hundred_targets_are_written_together_to_a_slow_sink(
    clock: VirtualClock,
) -> None:
    targets = [Target("default", Kind.DEPLOYMENT, f"d{number}") for number in range(100)]
    spool = MemorySpool(sinks=["slow"], max_bytes=10**9)
    sink = SlowSink(name="slow", clock=clock, write_s=0.05)

    async def speak() -> None:
        for second in range(10):
            for target in targets:
                await spool.append(target, [Entry(msg=target.id)], [second], watermark_ns=0)
                await clock.sleep(0.01)
        spool.close_input()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak)
        await deliver(sink, spool, clock=clock, wanted=everything)

    assert lines(sink) == [target.id for target in targets] * 10
    assert clock.monotonic_s() < 10 + 2 * sink.write_s


async def test_a_backlog_of_small_batches_is_as_fast_as_one_of_large_batches(
    clock: VirtualClock,
) -> None:
    spool = await spool_with(*map(str, range(2 * MAX_TOP)), sinks=("slow",))
    sink = SlowSink(name="slow", clock=clock, write_s=0.05)

    await deliver(sink, spool, clock=clock, wanted=everything)

    assert lines(sink) == [str(number) for number in range(2 * MAX_TOP)]
    assert clock.monotonic_s() == pytest.approx(2 * sink.write_s)


async def test_batches_without_a_matching_line_are_not_written(
    clock: VirtualClock,
) -> None:
    spool = await spool_with("a", "b")
    sink = MemorySink(fails=lambda: SinkError("unexpected write"))

    def nothing(batch: Batch) -> Batch:
        return replace(batch, entries=(), times_ns=())

    await deliver(sink, spool, clock=clock, wanted=nothing)

    assert (await spool.sink_position("memory")).position == 2


async def test_an_error_is_logged_once_and_again_when_it_changes(
    clock: VirtualClock,
) -> None:
    output = ["refused", "refused", "not trusted", "not trusted", "refused", "refused"]
    failures = iter([TransientSinkError(error) for error in output])
    sink = MemorySink(fails=lambda: next(failures, None))

    with capture_logs() as events:
        await deliver(sink, await spool_with("a"), clock=clock, wanted=everything)

    reported = [each["error"] for each in events if each["event"] == "sink_retrying"]
    assert reported == ["refused", "not trusted", "refused"]


async def test_the_same_error_is_logged_again_after_a_recovery(
    clock: VirtualClock,
) -> None:
    failures = iter([transient_failure(), None, transient_failure(), None])
    sink = MemorySink(fails=lambda: next(failures))

    with capture_logs() as events:
        for _ in range(2):
            await deliver(sink, await spool_with("a"), clock=clock, wanted=everything)

    assert [event["event"] for event in events] == ["sink_retrying", "sink_recovered"] * 2


async def test_a_permanent_error_ends_the_delivery_and_closes_the_sink(
    clock: VirtualClock,
) -> None:
    sink = MemorySink(fails=lambda: SinkError("disk full"))
    spool = await spool_with("a")

    with pytest.raises(SinkError, match="disk full"):
        await deliver(sink, spool, clock=clock, wanted=everything)

    assert not sink.is_open
    assert (await spool.sink_position("memory")).position == 0


async def test_a_failing_sink_does_not_delay_another_sink(clock: VirtualClock) -> None:
    def forever() -> Iterator[SinkError]:
        while True:
            yield transient_failure()

    failures = forever()
    broken = MemorySink(name="broken", fails=lambda: next(failures))
    healthy = MemorySink(name="healthy")
    spool = await spool_with("a", "b", sinks=("broken", "healthy"))

    with anyio.move_on_after(600):
        async with anyio.create_task_group() as tasks:
            for sink in (broken, healthy):
                tasks.start_soon(partial(deliver, sink, spool, clock=clock, wanted=everything))

    assert lines(healthy) == ["a", "b"]
    assert lines(broken) == []


class MovedSink(MemorySink):
    """Has another mark to remember as soon as it is open."""

    async def open(self, mark: bytes | None) -> bytes | None:
        await MemorySink.open(self, mark)
        return b"moved"


async def test_a_mark_changed_by_open_is_stored_before_the_first_write(
    clock: VirtualClock,
) -> None:
    spool = await spool_with("a")
    await spool.commit("memory", 1, b"before")

    await deliver(MovedSink(), spool, clock=clock, wanted=everything)

    assert (await spool.sink_position("memory")).mark == b"moved"
