"""A file sink whose directory or path has changed since the last run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.batches import lines
from support.file_sink_bench import Bench

from tailer.clock import Clock


@pytest.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "logs", clock)
    yield bench
    await bench.close()


async def test_a_moved_sink_forgets_its_old_directory_after_the_commit(
    bench: Bench,
) -> None:
    before = await bench.opened("old/{id}.log")
    mark = await before.write([lines("mine")])
    moved = await bench.opened("new/{id}.log", mark)
    mark_to_store = await moved.open(mark)
    with (bench.folder / "old/d1a2.log").open("a") as heirs:
        heirs.write("the heir's\n")

    await moved.open(mark_to_store)

    assert (bench.folder / "old/d1a2.log").read_text() == "mine\nthe heir's\n"


async def test_an_unchanged_sink_keeps_its_mark(bench: Bench) -> None:
    sink = await bench.opened()
    mark = await sink.write([lines("one")])

    assert await sink.open(mark) == mark


async def test_a_new_path_in_the_same_directory_leaves_the_old_file_to_another_sink(
    bench: Bench,
) -> None:
    before = await bench.opened("all.log")
    mark = await before.write([lines("mine")])
    moved = await bench.opened("other.log", mark)
    mark_to_store = await moved.open(mark)
    heir = await bench.opened("all.log")
    await heir.write([lines("the heir's")])

    await moved.open(mark_to_store)

    assert (bench.folder / "all.log").read_text() == "mine\nthe heir's\n"


async def test_a_removed_sink_that_returns_keeps_its_written_lines(
    bench: Bench,
) -> None:
    first = await bench.opened()
    await first.open(await first.open(None))
    await first.write([lines("one")])

    back = await bench.opened()
    await back.write([lines("two")])

    assert (bench.folder / "d1a2.log").read_text() == "one\ntwo\n"
    assert not bench.gaps
