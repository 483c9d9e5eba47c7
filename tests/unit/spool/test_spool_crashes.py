"""A power failure between any two statements leaves a consistent spool."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.spool_on_disk import add, opening, remembered, take, take_all

from tailer.model import Kind, Target

OTHER = Target("default", Kind.EXECUTION, "e1")
NOISE = os.urandom(3000).hex()  # a batch takes more than a page
STATEMENTS_OF_A_CHANGE = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "COMMIT")


class Photographer:
    """Copies the database and its log before each statement, and once more at the end."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self.copies: list[Path] = []

    def __call__(self, statement: str) -> None:
        if not statement.startswith(STATEMENTS_OF_A_CHANGE):
            return
        copy = self._folder / f"{len(self.copies)}" / "spool.db"
        copy.parent.mkdir(parents=True)
        for suffix in ("", "-wal"):
            shutil.copy(f"{self._path}{suffix}", f"{copy}{suffix}")
        self.copies.append(copy)


async def a_day(path: Path, folder: Path) -> Photographer:
    """Ten batches of two targets, each taken with a mark of its number, and the watermarks."""
    photographer = Photographer(path, folder)
    async with opening(path) as opened:
        spool = opened.spool
        spool._store._connection.set_trace_callback(photographer)
        for number in range(1, 11):
            await add(spool, number, f"{number}", NOISE)
            await add(spool, number, f"other {number}", target=OTHER)
            await take(spool, mark=str(2 * number - 1).encode())
            await take(spool, mark=str(2 * number).encode())
        photographer("COMMIT at last")
        spool._store._connection.set_trace_callback(None)
    return photographer


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "copies"
    shutil.rmtree(tmp_path / "copies")


async def test_mark_and_position_are_atomic_at_any_crash(tmp_path: Path, folder: Path) -> None:
    photographer = await a_day(tmp_path / "spool.db", folder)

    pairs = []
    for copy in photographer.copies:
        async with opening(copy) as opened:
            assert opened.set_aside is None
            place = await opened.spool.sink_position("file")
            pairs.append((place.position, int(place.mark or b"0")))

    assert len(pairs) > 100
    assert [position for position, mark in pairs if position != mark] == []
    assert sorted({position for position, _ in pairs}) == list(range(21))


async def test_lines_and_watermark_are_atomic_at_any_crash(tmp_path: Path, folder: Path) -> None:
    photographer = await a_day(tmp_path / "spool.db", folder)

    found = []
    for copy in photographer.copies:
        async with opening(copy) as opened:
            place = await opened.spool.target_position(OTHER, start_ns=0)
            found.append((place.watermark_ns, [entry.msg for entry in place.entries]))

    assert found == sorted(found)  # time never goes back
    assert {watermark_ns for watermark_ns, _ in found} == set(range(11))
    assert [each for each in found if each[0] and each[1] != [f"other {each[0]}"]] == []


async def test_unacknowledged_batches_are_delivered_again_after_any_crash(
    tmp_path: Path, folder: Path
) -> None:
    photographer = await a_day(tmp_path / "spool.db", folder)

    wrong = []
    for copy in photographer.copies:
        async with opening(copy) as opened:
            spool = opened.spool
            place = await spool.sink_position("file")
            stored = max(
                2 * (await spool.target_position(OTHER, start_ns=0)).watermark_ns,
                2 * int(next(iter(await remembered(spool)), "0")) - 1,  # type: ignore[call-overload]
            )
            left = [each for each in await take_all(spool) if each != NOISE]
            if len(left) != stored - place.position:
                wrong.append((place, stored, left))

    assert wrong == []
