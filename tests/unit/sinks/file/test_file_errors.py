"""Disks that are full, broken or read-only: nothing is lost, and no half line stays."""

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.batches import batch, line, lines
from support.faulty_disk import RefusingDisk
from support.file_sink_bench import Bench

from tailer.clock import Clock
from tailer.errors import SinkError, TransientSinkError

PASSING = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
    errno.ENOENT,
    errno.EMFILE,
]
TROUBLE = [
    pytest.param(refused, error, id=f"{refused}-{errno.errorcode[error]}")
    for refused in ("write", "open_file", "open_directory", "rename", "status", "names")
    for error in PASSING
    if (refused, error) != ("status", errno.ENOENT)  # that is news of a deleted file
]


@pytest.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "logs", clock)
    yield bench
    await bench.close()


PODS_ONE = batch(line("one\n", pod="a"), line("one\n", pod="b"))
PODS_TWO = batch(line("two\n", pod="a"), line("two\n", pod="b"))


@pytest.mark.parametrize(("refused", "error"), TROUBLE)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_transient_error_loses_nothing(
    *, bench: Bench, error: int, refused: str, restarted: bool
) -> None:
    disk = RefusingDisk(refused, error)
    sink = await bench.opened("{kind}/{pod}.log", disk=disk, rotate_bytes=6)
    mark = await sink.write([PODS_ONE])
    disk.is_broken = True
    for _ in range(3):
        with pytest.raises(TransientSinkError):
            await sink.write([PODS_TWO])
    disk.is_broken = False
    if restarted:
        sink = await bench.opened("{kind}/{pod}.log", mark, rotate_bytes=6)
    await sink.write([PODS_TWO])

    assert bench.joined("deployment/a") == bench.joined("deployment/b") == "one\ntwo\n"
    assert bench.gaps == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_transiently_unreadable_directory_is_not_taken_for_empty(
    *, bench: Bench, restarted: bool
) -> None:
    """As when a mount goes and comes back: whatever was begun there, these stay."""
    disk = RefusingDisk("status", errno.ENOENT)
    sink = await bench.opened("{kind}/{pod}.log", disk=disk)
    mark = await sink.write([PODS_ONE])
    disk.is_broken = True
    with pytest.raises(TransientSinkError):
        await sink.write([PODS_TWO])
    disk.is_broken = False
    if restarted:
        sink = await bench.opened("{kind}/{pod}.log", mark)
    await sink.write([PODS_TWO])

    assert bench.joined("deployment/a") == bench.joined("deployment/b") == "one\ntwo\n"


async def test_an_incomplete_line_is_truncated_before_the_retry(bench: Bench) -> None:
    disk = RefusingDisk("write", errno.ENOSPC)
    sink = await bench.opened(disk=disk)
    await sink.write([lines("one")])
    disk.is_broken = True
    with pytest.raises(TransientSinkError, match=r"No space left on device \(make room"):
        await sink.write([lines("two")])

    assert (bench.folder / "d1a2.log").read_text() == "one\n"


async def test_an_incomplete_line_is_truncated_later_if_truncation_fails(bench: Bench) -> None:
    disk, cutting = RefusingDisk("write", errno.EIO), RefusingDisk("truncate", errno.EIO)
    disk.then = cutting
    sink = await bench.opened(disk=disk)
    await sink.write([lines("one")])
    disk.is_broken = cutting.is_broken = True
    with pytest.raises(TransientSinkError):
        await sink.write([lines("two")])
    disk.is_broken = False
    with pytest.raises(TransientSinkError):
        await sink.write([lines("two")])
    cutting.is_broken = False
    await sink.write([lines("two")])

    assert (bench.folder / "d1a2.log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("refused", ["sync_file", "sync_directory"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
async def test_a_failed_sync_is_never_tried_again(bench: Bench, refused: str, error: int) -> None:
    disk = RefusingDisk(refused, error)
    sink = await bench.opened("{pod}.log", disk=disk)
    mark = await sink.write([lines("one")])
    disk.is_broken = True
    with pytest.raises(SinkError, match="could not be synced to disk") as raised:
        await sink.write([batch(line("two\n"), line("two\n", pod="new"))])
    await sink.aclose()
    sink = await bench.opened("{pod}.log", mark)

    assert not isinstance(raised.value, TransientSinkError)
    assert bench.joined("pod-a") == "one\n"
    assert bench.joined("new") == ""


async def test_compression_that_fails_leaves_the_closed_file(bench: Bench) -> None:
    disk = RefusingDisk("read", errno.EIO)
    sink = await bench.opened(disk=disk, rotate_bytes=1, compress=True)
    disk.is_broken = True
    await sink.write([lines("one")])
    await sink.write([lines("two")])
    await sink.write([lines("three")])
    await sink.aclose()

    closed = [name for name in bench.names() if "d1a2.0" in name]
    assert closed == ["d1a2.000001.log", "d1a2.000002.log"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "logs"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_holds_whole_lines_and_resumes_with_free_space(
    bench: Bench, small_disk: Path
) -> None:
    sink = await bench.opened()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(40_000))
    written = 0
    with pytest.raises(TransientSinkError):  # noqa: PT012 - the failing write is not predictable
        while True:
            await sink.write([lines(*[str(written)] * 1000)])
            written += 1
    before = (small_disk / "d1a2.log").read_text().splitlines()
    ballast.unlink()
    await sink.write([lines(*[str(written)] * 1000)])

    assert before == [str(number) for number in range(written) for _ in range(1000)]
    assert (small_disk / "d1a2.log").read_text().splitlines() == before + [str(written)] * 1000


async def test_a_read_only_disk_is_retried(bench: Bench, small_disk: Path) -> None:
    sink = await bench.opened()
    await sink.write([lines("one")])
    remount(small_disk, "ro")
    with pytest.raises(TransientSinkError, match="read-only"):
        await sink.write([lines("two")])
    remount(small_disk, "rw")
    await sink.write([lines("two")])

    assert (small_disk / "d1a2.log").read_text() == "one\ntwo\n"


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


async def test_a_missing_permission_is_retried(bench: Bench) -> None:
    if os.geteuid() == 0:
        pytest.skip("everything is open to root")
    bench.folder.mkdir(mode=0o500)
    sink = await bench.opened()

    with pytest.raises(TransientSinkError, match="needs the right"):
        await sink.write([lines("one")])
