"""Files that other processes truncate, move or replace, and hostile links and pipes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.batches import batch, line, lines
from support.file_sink_bench import Bench

from tailer.clock import Clock
from tailer.errors import SinkError
from tailer.model import GapReason


@pytest.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "logs", clock)
    yield bench
    await bench.close()


async def test_a_file_truncated_by_another_process_is_a_gap_after_a_restart(bench: Bench) -> None:
    sink = await bench.opened()
    mark = await sink.write([lines("one", "two")])
    (bench.folder / "d1a2.log").write_text("one\n")
    sink = await bench.opened(mark=mark)
    await sink.write([lines("three")])

    path = f"{bench.folder}/d1a2.log"
    assert bench.gaps == [(path, GapReason.FILE_TRUNCATED, "had 8 bytes and has 4 now")]
    assert (bench.folder / "d1a2.log").read_text() == "one\nthree\n"


async def test_a_file_truncated_at_run_time_is_one_gap(bench: Bench) -> None:
    sink = await bench.opened()
    await sink.write([lines("one")])
    os.truncate(bench.folder / "d1a2.log", 0)
    await sink.write([lines("two")])
    mark = await sink.write([lines("three")])
    await bench.opened(mark=mark)

    assert [detail for _, _, detail in bench.gaps] == ["had 4 bytes and has 0 now"]
    assert (bench.folder / "d1a2.log").read_text() == "two\nthree\n"


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_deleted_file_is_a_gap(*, bench: Bench, restarted: bool) -> None:
    sink = await bench.opened()
    mark = await sink.write([lines("one")])
    (bench.folder / "d1a2.log").unlink()
    if restarted:
        sink = await bench.opened(mark=mark)
    await sink.write([lines("two")])

    assert [detail for _, _, detail in bench.gaps] == ["was deleted"]
    assert (bench.folder / "d1a2.log").read_text() == "two\n"


async def test_a_replaced_file_is_a_gap(bench: Bench, tmp_path: Path) -> None:
    sink = await bench.opened()
    mark = await sink.write([lines("one")])
    (tmp_path / "other").write_text("something else\n")
    (tmp_path / "other").replace(bench.folder / "d1a2.log")
    sink = await bench.opened(mark=mark)
    await sink.write([lines("two")])

    assert [detail for _, _, detail in bench.gaps] == ["was replaced by another file"]
    assert (bench.folder / "d1a2.log").read_text() == "something else\ntwo\n"


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_file_that_logrotate_moved_is_no_gap(*, bench: Bench, restarted: bool) -> None:
    sink = await bench.opened()
    mark = await sink.write([lines("one")])
    (bench.folder / "d1a2.log").rename(bench.folder / "d1a2.log.1")
    if restarted:
        sink = await bench.opened(mark=mark)
    await sink.write([lines("two")])

    assert bench.gaps == []
    assert (bench.folder / "d1a2.log").read_text() == "two\n"


async def test_a_file_moved_to_another_directory_is_no_gap_after_a_reopen(
    bench: Bench, tmp_path: Path
) -> None:
    sink = await bench.opened()
    await sink.write([lines("one")])
    (bench.folder / "d1a2.log").rename(tmp_path / "archived")
    await sink.reopen()
    await sink.write([lines("two")])

    assert bench.gaps == []
    assert (tmp_path / "archived").read_text() == "one\n"


async def test_a_missing_directory_is_created_again(bench: Bench, tmp_path: Path) -> None:
    sink = await bench.opened("{kind}/{id}.log")
    await sink.write([lines("one")])
    bench.folder.rename(tmp_path / "elsewhere")
    await sink.write([lines("two")])

    assert (bench.folder / "deployment/d1a2.log").read_text() == "two\n"
    assert [detail for _, _, detail in bench.gaps] == ["was deleted"]


async def test_no_symbolic_link_leads_out_of_the_base(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bench.folder.mkdir()
    (bench.folder / "deployment").symlink_to(outside)
    sink = await bench.opened("{kind}/{id}.log")

    with pytest.raises(SinkError, match="is a file or a symbolic link"):
        await sink.write([lines("one")])
    assert list(outside.iterdir()) == []


async def test_a_file_that_is_a_symbolic_link_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine\n")
    bench.folder.mkdir()
    (bench.folder / "d1a2.log").symlink_to(tmp_path / "victim")
    sink = await bench.opened()

    with pytest.raises(SinkError, match="not a regular file"):
        await sink.write([lines("one")])
    assert (tmp_path / "victim").read_text() == "mine\n"


async def test_a_base_behind_a_link_is_the_operators_choice(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    bench.folder.symlink_to(tmp_path / "real")
    sink = await bench.opened()
    await sink.write([lines("one")])

    assert (tmp_path / "real/d1a2.log").read_text() == "one\n"


async def test_a_pipe_is_rejected_without_blocking(bench: Bench) -> None:
    bench.folder.mkdir()
    os.mkfifo(bench.folder / "d1a2.log")
    sink = await bench.opened()

    with pytest.raises(SinkError, match="not a regular file"):
        await sink.write([lines("one")])


@pytest.mark.parametrize("pod", ["..", "../../etc", "a/b", "", "a\0b", "x" * 300, "ä\u202e", "\n"])
async def test_a_hostile_pod_stays_in_the_base(bench: Bench, tmp_path: Path, pod: str) -> None:
    sink = await bench.opened("{pod}/x.log")
    await sink.write([batch(line("one", pod=pod))])

    (folder,) = (path for path in bench.folder.iterdir() if path.is_dir())
    assert (folder / "x.log").read_text() == "one\n"
    assert os.listdir(tmp_path) == [bench.folder.name]  # noqa: PTH208


async def test_pods_that_differ_in_case_have_files_of_their_own(bench: Bench) -> None:
    sink = await bench.opened("{pod}.log")
    await sink.write([batch(line("1", pod="a"), line("2", pod="A"))])

    assert (bench.folder / "a.log").read_text() == "1\n"
    assert (bench.folder / "A.log").read_text() == "2\n"
