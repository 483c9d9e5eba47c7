"""Listings and retired targets in a spool on disk, after a restart and from old versions."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.fakes import TARGET
from support.spool_on_disk import add, opening, remembered, take, take_all

from tailer.model import Kind, Target
from tailer.spool import schema
from tailer.spool.contract import SinkPosition
from tailer.spool.targets import Listing

EXECUTION = Target("team-a", Kind.EXECUTION, "e1")
VERSION_1 = Path(__file__).with_name("version_1.db")  # made by the code of that version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


async def test_a_retired_target_stays_retired_after_a_restart_and_repeats_nothing(
    path: Path,
) -> None:
    async with opening(path) as opened:
        await add(opened.spool, 5, "a")
        await take(opened.spool)
        await opened.spool.retire(TARGET)

    async with opening(path) as opened:
        assert opened.spool.targets.is_retired(TARGET)
        assert (await opened.spool.target_position(TARGET, start_ns=0)).watermark_ns == 6
        assert await remembered(opened.spool) == []


async def test_lines_of_a_retired_target_that_no_sink_has_taken_survive_a_restart(
    path: Path,
) -> None:
    async with opening(path) as opened:
        await add(opened.spool, 5, "a")
        await opened.spool.retire(TARGET)

    async with opening(path) as opened:
        assert await take_all(opened.spool) == ["a"]


async def test_a_listing_and_its_targets_survive_a_restart(path: Path) -> None:
    async with opening(path) as opened:
        await opened.spool.record_listing(
            Listing("team-a", Kind.EXECUTION, at_ns=7, starts={EXECUTION: 3})
        )

    async with opening(path) as opened:
        assert opened.spool.targets.last_listing_ns("team-a", Kind.EXECUTION) == 7
        assert opened.spool.targets.is_known(EXECUTION)
        assert not opened.spool.targets.is_retired(EXECUTION)
        assert (await opened.spool.target_position(EXECUTION, start_ns=0)).watermark_ns == 3


async def test_a_forgotten_target_stays_forgotten_after_a_restart(path: Path) -> None:
    async with opening(path) as opened:
        await opened.spool.retire(EXECUTION)
        await opened.spool.record_listing(
            Listing("team-a", Kind.EXECUTION, at_ns=7, starts={}, forgettable=[EXECUTION])
        )

    async with opening(path) as opened:
        assert not opened.spool.targets.is_known(EXECUTION)


async def test_a_retired_target_found_again_keeps_its_position_after_a_restart(
    path: Path,
) -> None:
    async with opening(path) as opened:
        await opened.spool.append(EXECUTION, (), (), watermark_ns=5)
        await opened.spool.retire(EXECUTION)
        await opened.spool.record_listing(
            Listing("team-a", Kind.EXECUTION, at_ns=7, starts={EXECUTION: 3})
        )
        is_retired = opened.spool.targets.is_retired(EXECUTION)

    async with opening(path) as opened:
        assert not is_retired
        assert not opened.spool.targets.is_retired(EXECUTION)
        assert (await opened.spool.target_position(EXECUTION, start_ns=0)).watermark_ns == 5


async def test_a_spool_of_version_1_keeps_its_positions(path: Path) -> None:
    shutil.copy(VERSION_1, path)

    async with opening(path, sinks=("file", "syslog")) as opened:
        spool = opened.spool
        places = [await spool.sink_position(sink) for sink in ("file", "syslog")]
        watermark_ns = (await spool.target_position(EXECUTION, start_ns=0)).watermark_ns
        lines = await remembered(spool)
        is_retired = spool.targets.is_retired(TARGET)
        await spool.record_listing(Listing("team-a", Kind.EXECUTION, at_ns=20, starts={}))
        await spool.retire(EXECUTION)
        rest = await take_all(spool)

    assert opened.set_aside is None
    assert places == [SinkPosition(1, b"a mark"), SinkPosition(1, None)]
    assert (watermark_ns, lines, is_retired) == (11, ["taken by both", "one", "two"], False)
    assert rest == ["one", "two"]


async def test_a_spool_of_version_1_is_upgraded(path: Path) -> None:
    shutil.copy(VERSION_1, path)
    async with opening(path, sinks=("file", "syslog")) as opened:
        await opened.spool.retire(EXECUTION)

    async with opening(path, sinks=("file", "syslog")) as opened:
        assert opened.spool.targets.is_retired(EXECUTION)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def damage(path: Path) -> bytes:
    """A spool of version 1 without one of its pages."""
    whole = VERSION_1.read_bytes()
    damaged = whole[:8192] + bytes(4096) + whole[12288:]
    path.write_bytes(damaged)
    return damaged


async def test_a_damaged_spool_of_version_1_is_set_aside_unchanged(path: Path) -> None:
    damaged = damage(path)

    async with opening(path) as opened:
        assert opened.set_aside is not None
        assert opened.set_aside.read_bytes() == damaged


async def test_listings_of_a_spool_of_version_2_are_kept(path: Path) -> None:
    async with opening(path) as opened:
        await opened.spool.record_listing(Listing("team-a", Kind.EXECUTION, 7, starts={}))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("ALTER TABLE listing RENAME TO look; PRAGMA user_version = 2;")

    async with opening(path) as opened:
        assert opened.spool.targets.last_listing_ns("team-a", Kind.EXECUTION) == 7
