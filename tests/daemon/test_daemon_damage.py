"""A destroyed spool: reported as a gap; reading resumes after the lines in the files."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.daemon_bench import FIRST, SECOND, Bench
from support.json_files import shown_in_files, without_newlines
from support.virtual_time import START_NS, VirtualClock

from tailer.config import FileSection, SinkSection
from tailer.daemon.sinks import build_sinks
from tailer.model import GapReason
from tailer.timestamp import NS_PER_S, parse_ns

RUN_S = 60
MARGIN_S = 2  # the youngest line is not written at the last moment
REST_S = 600  # far more than the backfill of the bench


@pytest.fixture
def folder(bench: Bench, tmp_path: Path) -> Path:
    """Where a file sink of the bench writes to."""
    section = FileSection(path=f"{tmp_path}/logs/{{id}}.log")
    bench.config = replace(bench.config, sinks=(SinkSection(name="file", to=section),))
    bench.sinks = build_sinks(bench.config, clock=bench.clock, health=bench.health)
    bench.watch(FIRST, SECOND)
    return tmp_path / "logs"


def leave_at(folder: Path, clock: VirtualClock) -> None:
    """The disk keeps the machine's time; it should keep the test's."""
    for path in folder.rglob("*.log"):
        os.utime(path, ns=(clock.wall_ns(), clock.wall_ns()))


async def test_nothing_is_lost_after_a_downtime_longer_than_the_backfill(
    bench: Bench, folder: Path, clock: VirtualClock
) -> None:
    await bench.run_for(RUN_S)
    leave_at(folder, clock)
    bench.spool.write_bytes(b"\0" * 8192)
    await clock.sleep(REST_S)

    await bench.run_to_the_end()

    assert without_newlines(bench.shown) - shown_in_files(folder) == {}
    assert bench.health.gaps == {GapReason.STATE_LOST: 1}


async def test_only_lines_within_the_lateness_are_repeated(
    bench: Bench, folder: Path, clock: VirtualClock
) -> None:
    await bench.run_for(RUN_S)
    leave_at(folder, clock)
    bench.spool.write_bytes(b"\0" * 8192)
    poll = bench.config.poll
    doubtful_s = poll.lateness_s + poll.sweep_s + poll.pace.idle_interval_s

    await bench.run_to_the_end()

    repeated = shown_in_files(folder) - without_newlines(bench.shown)
    oldest_ns = min(parse_ns(line[0]) for line in repeated)
    assert oldest_ns > START_NS + (RUN_S - doubtful_s - MARGIN_S) * NS_PER_S


@pytest.mark.usefixtures("folder")
async def test_the_damaged_spool_is_kept(bench: Bench) -> None:
    await bench.run_for(10)
    bench.spool.write_bytes(b"\0" * 8192)

    await bench.run_for(10)

    kept = [path.name for path in bench.spool.parent.iterdir() if ".damaged-" in path.name]
    assert "spool.db.damaged-20231114T221330Z" in kept


async def test_foreign_files_in_the_directory_are_ignored(
    bench: Bench, folder: Path, clock: VirtualClock
) -> None:
    await bench.run_for(RUN_S)
    leave_at(folder, clock)
    bench.spool.write_bytes(b"\0" * 8192)
    await clock.sleep(REST_S)
    (folder / "someone.else").write_text("just now", encoding="utf-8")

    await bench.run_to_the_end()

    assert without_newlines(bench.shown) - shown_in_files(folder) == {}
