"""The queue of batches that wait for room in a full spool."""

from pathlib import Path

import anyio
from support.spool_on_disk import add, opening, take
from support.virtual_time import VirtualClock

from tailer.model import Kind, Target

OTHER = Target("default", Kind.EXECUTION, "e1")


async def test_a_large_batch_is_not_starved_by_small_ones(
    tmp_path: Path, clock: VirtualClock
) -> None:
    arrived: list[str] = []

    async def keep_adding_small_ones() -> None:
        for number in range(1000):
            await add(opened.spool, number, "x" * 1000)

    async def add_large_one() -> None:
        await clock.sleep(1)
        await add(opened.spool, 1, "x" * 9000, target=OTHER)
        arrived.append("large")

    async with (
        opening(tmp_path / "spool.db", max_bytes=10_000) as opened,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(keep_adding_small_ones)
        tasks.start_soon(add_large_one)
        await clock.sleep(2)
        for _ in range(20):
            await take(opened.spool)
            await clock.sleep(0.1)
        tasks.cancel_scope.cancel()

    assert arrived == ["large"]
