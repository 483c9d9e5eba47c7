"""A full spool with `drop_oldest` sinks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from support.spool_on_disk import add, opening, take, take_all

from tailer.model import Batch
from tailer.spool.contract import SinkPosition
from tailer.spool.sqlite import SqliteSpool

BIG = "x" * 100_000
ROOM_FOR = 4  # such lines


@dataclass(slots=True)
class Rig:
    spool: SqliteSpool
    dropped: list[tuple[str, int]] = field(default_factory=list)

    async def add(self, *times_ns: int) -> None:
        for time_ns in times_ns:
            await add(self.spool, time_ns, BIG)

    async def could_add(self, *times_ns: int) -> bool:
        with anyio.move_on_after(60) as waiting:
            await self.add(*times_ns)
        return not waiting.cancelled_caught


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Two `drop_oldest` sinks and one `wait` sink."""
    dropped: list[tuple[str, int]] = []

    def note(sink: str, batch: Batch) -> None:
        dropped.append((sink, batch.position))

    async with opening(
        tmp_path / "spool.db",
        sinks=("quick", "lossy", "waiting"),
        max_bytes=ROOM_FOR * 101_000,
        droppers=("quick", "lossy"),
    ) as opened:
        opened.spool.on_drop = note
        yield Rig(opened.spool, dropped)


async def take_some(rig: Rig, sink: str, times: int) -> None:
    for _ in range(times):
        await take(rig.spool, sink)


async def test_with_free_space_nothing_is_dropped(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))

    assert rig.dropped == []


async def test_a_wait_sink_loses_no_batch(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))

    assert not await rig.could_add(ROOM_FOR)
    assert rig.dropped == []


async def test_the_oldest_batch_is_dropped_once_all_wait_sinks_have_it(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)

    assert await rig.could_add(ROOM_FOR)
    assert sorted(rig.dropped) == [("lossy", 1), ("quick", 1)]


async def test_a_fast_sink_loses_nothing_because_of_a_slow_one(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", 2)

    assert await rig.could_add(ROOM_FOR, ROOM_FOR + 1)
    assert rig.dropped == [("lossy", 1), ("lossy", 2)]


async def test_a_dropped_batch_is_not_delivered(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await rig.add(ROOM_FOR)

    assert len(await take_all(rig.spool, "lossy")) == ROOM_FOR
    assert len(await take_all(rig.spool, "waiting")) == 1


async def test_concurrent_appends_to_a_full_spool_drop_each_batch_once(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", ROOM_FOR)
    async with anyio.create_task_group() as tasks:
        for time_ns in range(ROOM_FOR, ROOM_FOR + 3):
            tasks.start_soon(rig.add, time_ns)

    assert rig.dropped == [("lossy", 1)]


async def test_a_dropped_batch_that_was_written_keeps_the_newest_mark(
    rig: Rig,
) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", ROOM_FOR)
    (in_hand,) = await rig.spool.next_batches("lossy", max_lines=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.spool.commit, "lossy", in_hand.position, b"written")
        tasks.start_soon(rig.add, ROOM_FOR)
    place = await rig.spool.sink_position("lossy")

    assert place.mark == b"written"


async def test_a_commit_of_several_batches_does_not_undo_a_drop(
    rig: Rig,
) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", ROOM_FOR)
    in_hand = await rig.spool.next_batches("lossy", max_lines=2)
    await rig.add(*range(ROOM_FOR, ROOM_FOR + 3))
    await rig.spool.commit("lossy", in_hand[-1].position, b"written")

    assert rig.dropped == [("lossy", 1), ("lossy", 2), ("lossy", 3)]
    assert await rig.spool.sink_position("lossy") == SinkPosition(3, b"written")
    assert len(await take_all(rig.spool, "lossy")) == ROOM_FOR


async def test_a_batch_dropped_during_a_read_is_not_returned(rig: Rig) -> None:
    await rig.add(*range(ROOM_FOR))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", ROOM_FOR)
    for position in (2, 3, 4):
        del rig.spool._cache[position]  # these have to be read from the disk
    taken: list[int] = []

    async def read() -> None:
        batches = await rig.spool.next_batches("lossy", max_lines=ROOM_FOR)
        taken.extend(batch.position for batch in batches)

    async with anyio.create_task_group() as tasks, rig.spool._store._thread:
        tasks.start_soon(rig.add, ROOM_FOR)  # its drop waits for the disk
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(read)  # and the reading waits behind that
        await anyio.wait_all_tasks_blocked()

    assert (rig.dropped, taken) == ([("lossy", 1)], [2, 3, 4])


async def test_a_drop_leaves_the_mark_as_it_is(rig: Rig) -> None:
    await rig.add(0)
    await take(rig.spool, "lossy", b"first")
    await take_some(rig, "waiting", 1)
    await take_some(rig, "quick", 1)
    await rig.add(*range(1, ROOM_FOR + 1))
    await take_some(rig, "waiting", ROOM_FOR)
    await take_some(rig, "quick", ROOM_FOR)
    await rig.add(ROOM_FOR + 1)

    assert await rig.spool.sink_position("lossy") == SinkPosition(2, b"first")
