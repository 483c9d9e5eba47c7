"""The file sink without failures: names, modes, rotation and compression."""

import gzip
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.batches import TARGET, batch, line, lines
from support.faulty_disk import CountingDisk
from support.file_sink_bench import Bench
from support.virtual_time import START_NS

from tailer.clock import Clock
from tailer.errors import SinkError


@pytest.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "logs", clock)
    yield bench
    await bench.close()


async def test_each_line_goes_to_its_own_pods_file_in_order(bench: Bench) -> None:
    sink = await bench.opened("{id}/{pod}.log")
    await sink.write([batch(line("1", pod="a"), line("2", pod="b"), line("3", pod="a"))])

    assert (bench.folder / "d1a2/a.log").read_text() == "1\n3\n"
    assert (bench.folder / "d1a2/b.log").read_text() == "2\n"


async def test_files_and_folders_are_for_their_owner_and_readable_by_the_group(
    bench: Bench,
) -> None:
    umask = os.umask(0)
    sink = await bench.opened("{kind}/{id}.log")
    await sink.write([lines("one")])
    os.umask(umask)

    assert stat.S_IMODE((bench.folder / "deployment").stat().st_mode) == 0o750
    assert stat.S_IMODE((bench.folder / "deployment/d1a2.log").stat().st_mode) == 0o640


async def test_an_existing_file_is_appended_to(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "d1a2.log").write_text("old\n")
    sink = await bench.opened()
    await sink.write([lines("new")])

    assert (bench.folder / "d1a2.log").read_text() == "old\nnew\n"


async def test_several_batches_for_one_file_are_written_in_order(
    bench: Bench,
) -> None:
    other = replace(TARGET, id="other")
    sink = await bench.opened("{id}.log")
    await sink.write([lines("1"), batch(line("2"), target=other), lines("3", "4"), lines("5")])

    assert (bench.folder / "d1a2.log").read_text() == "1\n3\n4\n5\n"
    assert (bench.folder / "other.log").read_text() == "2\n"


async def test_many_batches_in_one_write_need_the_disk_calls_of_one(bench: Bench) -> None:
    disk = CountingDisk()
    sink = await bench.opened(disk=disk)
    await sink.write([lines("begun")])
    await sink.write([lines("settled")])
    before = disk.calls
    await sink.write([lines("one")])
    one = disk.calls - before
    await sink.write([lines(str(number)) for number in range(50)])

    assert disk.calls - before - one == one


async def test_a_file_that_would_grow_too_large_is_closed_at_a_line(bench: Bench) -> None:
    sink = await bench.opened(rotate_bytes=10)
    await sink.write([lines("one")])
    await sink.write([lines("two")])
    await sink.write([lines("three")])

    assert (bench.folder / "d1a2.000001.log").read_text() == "one\ntwo\n"
    assert (bench.folder / "d1a2.log").read_text() == "three\n"


async def test_a_batch_is_never_divided(bench: Bench) -> None:
    sink = await bench.opened(rotate_bytes=5)
    await sink.write([lines("one", "two", "three")])

    assert (bench.folder / "d1a2.log").read_text() == "one\ntwo\nthree\n"


async def test_a_file_is_closed_when_a_new_period_has_begun(bench: Bench, clock: Clock) -> None:
    sink = await bench.opened(rotate_s=3600)
    await sink.write([lines("one")])
    await clock.sleep(3600 - START_NS / 1e9 % 3600 - 2)
    await sink.write([lines("two")])
    await clock.sleep(4)
    await sink.write([lines("three")])

    assert (bench.folder / "d1a2.000001.log").read_text() == "one\ntwo\n"
    assert (bench.folder / "d1a2.log").read_text() == "three\n"


async def test_closed_files_are_compressed_and_only_the_youngest_kept(bench: Bench) -> None:
    sink = await bench.opened(rotate_bytes=1, keep_files=2, compress=True)
    for number in range(6):
        await sink.write([lines(str(number))])
    await sink.write([lines("end")])
    await sink.aclose()

    closed = [name for name in bench.names() if "d1a2.0" in name]
    assert closed == ["d1a2.000004.log.gz", "d1a2.000005.log.gz", "d1a2.000006.log"]
    assert gzip.decompress((bench.folder / closed[0]).read_bytes()) == b"3\n"


async def test_a_batch_without_lines_leaves_no_trace(bench: Bench) -> None:
    sink = await bench.opened()

    assert await sink.write([batch()]) == await sink.open(None)
    assert not bench.folder.exists()


async def test_a_mark_stays_small_however_many_files_there_are(bench: Bench) -> None:
    sink = await bench.opened("{pod}.log", tracked_files=8)
    mark = await sink.write([batch(*(line("x", pod=f"pod-{number}") for number in range(100)))])

    assert mark is not None
    assert len(mark) < 1000


async def test_after_a_change_of_the_path_old_files_are_still_truncated(
    bench: Bench, tmp_path: Path
) -> None:
    sink = await bench.opened("{id}.log")
    mark = await sink.write([lines("one")])
    await sink.write([lines("not committed")])
    bench.folder = tmp_path / "new"
    sink = await bench.opened("{id}.log", mark)
    await sink.write([lines("two")])

    assert (tmp_path / "logs/d1a2.log").read_text() == "one\n"
    assert (tmp_path / "new/d1a2.log").read_text() == "two\n"
    assert bench.gaps == []


async def test_a_reset_spool_does_not_truncate_committed_lines(bench: Bench) -> None:
    sink = await bench.opened()
    await sink.write([lines("one")])
    await sink.write([lines("two")])
    sink = await bench.opened(mark=None)
    await sink.write([lines("three")])

    assert (bench.folder / "d1a2.log").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("mark", [b"", b"{}", b"\0", b'{"version": 2}'])
async def test_a_mark_of_another_version_is_refused(bench: Bench, mark: bytes) -> None:
    with pytest.raises(SinkError, match="another version"):
        await bench.opened(mark=mark)
