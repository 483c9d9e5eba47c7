"""Opening a spool: locked, damaged, newer, unreadable, or not a file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.spool_on_disk import add, opening, remembered, take, take_all

from tailer.errors import ConfigError, SinkError
from tailer.spool import schema

PAGE_BYTES = 4096
MESSAGES = [f"{number} " + os.urandom(3000).hex() for number in range(20)]  # nothing to compress

HOLD = """
import sys
from pathlib import Path
import anyio
from tailer.clock import SystemClock
from tailer.spool.open import open_spool

async def hold():
    async with open_spool(Path(sys.argv[1]), sinks=["file"], max_bytes=1, clock=SystemClock()):
        print("held", flush=True)
        sys.stdin.read()

anyio.run(hold)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


async def fill(path: Path) -> None:
    async with opening(path) as opened:
        for number, message in enumerate(MESSAGES):
            await add(opened.spool, number, message)


def parts(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()}


def contents(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_spool_locked_by_another_process_is_rejected_with_its_pid(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220 - ends with the block
        assert other.stdout is not None
        other.stdout.readline()

        with pytest.raises(ConfigError, match=f"in use by process {other.pid}") as refused:
            async with opening(path):
                pass
        other.communicate()

    assert refused.value.exit_code == 2


async def test_a_lock_ends_with_its_process(path: Path) -> None:
    await fill(path)

    async with opening(path) as opened:
        assert await take_all(opened.spool) == MESSAGES


async def test_a_spool_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    before = contents(path)

    newer = f"made by a newer tailer: its version is {schema.VERSION + 1}"
    with pytest.raises(ConfigError, match=newer) as refused:
        async with opening(path):
            pass

    assert "install that newer version" in refused.value.hint
    assert contents(path) == before


def zero_page(path: Path) -> None:
    whole = path.read_bytes()
    middle = len(whole) // PAGE_BYTES // 2 * PAGE_BYTES
    path.write_bytes(whole[:middle] + bytes(PAGE_BYTES) + whole[middle + PAGE_BYTES :])


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def overwrite_with_text(path: Path) -> None:
    path.write_text("not a database\n" * 1000, encoding="utf-8")


def zero_first_page(path: Path) -> None:
    path.write_bytes(bytes(PAGE_BYTES) + path.read_bytes()[PAGE_BYTES:])


def spoil_a_batch(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE batch SET page = x'00' WHERE position = 7")
        connection.commit()


DAMAGES = [zero_page, truncate, overwrite_with_text, zero_first_page, spoil_a_batch]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_spool_is_kept_and_a_new_one_created(
    path: Path, damage: Callable[[Path], None]
) -> None:
    await fill(path)
    damage(path)
    damaged = contents(path)

    async with opening(path) as opened:
        assert opened.set_aside is not None
        kept = contents(opened.set_aside)
        await add(opened.spool, 1, "new")
        found = await take_all(opened.spool)

    assert kept == damaged
    assert found == ["new"]


async def test_a_new_spool_in_place_of_a_damaged_one_is_there_at_the_next_start(path: Path) -> None:
    await fill(path)
    truncate(path)
    async with opening(path) as opened:
        await add(opened.spool, 1, "new")

    async with opening(path) as opened:
        assert opened.set_aside is None
        assert await remembered(opened.spool) == ["new"]


async def test_a_loss_is_reported_at_each_start_until_a_position_is_stored(path: Path) -> None:
    await fill(path)
    truncate(path)
    async with opening(path) as first:
        pass  # killed before it could say anything
    async with opening(path) as second:
        await add(second.spool, 1, "new")
    async with opening(path) as third:
        pass

    assert first.set_aside == second.set_aside is not None
    assert third.set_aside is None


async def test_a_loss_is_reported_after_a_crash_before_the_new_spool(
    path: Path,
) -> None:
    await fill(path)
    path.rename(f"{path}.damaged-20200101T000000Z")  # noqa: ASYNC240

    async with opening(path) as opened:
        assert opened.set_aside == path.with_name("spool.db.damaged-20200101T000000Z")


async def test_a_whole_spool_is_not_set_aside(path: Path) -> None:
    await fill(path)

    async with opening(path) as opened:
        assert opened.set_aside is None

    assert not [name for name in parts(path) if "damaged" in name]


async def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("", encoding="utf-8")

    with pytest.raises(SinkError, match="cannot be opened") as refused:
        async with opening(tmp_path / "state" / "spool.db"):
            pass

    assert refused.value.exit_code == 5


async def test_a_folder_in_place_of_the_spool_is_no_damage(path: Path) -> None:
    os.makedirs(path)  # noqa: PTH103

    with pytest.raises(SinkError, match="Is a directory"):
        async with opening(path):
            pass

    assert "spool.db" in parts(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is open to root")
async def test_a_spool_that_may_not_be_read_is_no_damage(path: Path) -> None:
    await fill(path)
    os.chmod(path, 0)  # noqa: PTH101

    with pytest.raises(SinkError, match="Permission denied"):
        async with opening(path):
            pass

    assert "spool.db" in parts(path)


async def test_a_link_in_place_of_the_lock_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.with_name("spool.db.lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SinkError, match="cannot be opened"):
        async with opening(path):
            pass

    assert not (tmp_path / "elsewhere").exists()


async def test_a_spool_is_readable_only_by_its_owner(path: Path) -> None:
    await fill(path)

    assert {each.stat().st_mode & 0o077 for each in (path, path.parent)} == {0}


async def test_undelivered_lines_of_a_removed_sink_are_reported(path: Path) -> None:
    async with opening(path, sinks=("file", "old")) as opened:
        await add(opened.spool, 1, "one")
        await add(opened.spool, 2, "two")
        await take(opened.spool, "old")

    async with opening(path) as opened:
        abandoned = opened.abandoned

    assert abandoned == {"old": 1}


async def test_one_spool_has_one_lock_also_through_links(path: Path) -> None:
    link = path.with_name("link.db")
    async with opening(path):
        link.symlink_to(path)

        with pytest.raises(ConfigError, match="in use by process"):
            async with opening(link):
                pass


async def test_a_path_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no file"):
        async with opening(Path("/")):
            pass
