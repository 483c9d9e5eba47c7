"""Group commit: many changes in one transaction, atomic and in order."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import anyio
import anyio.to_thread
import pytest
from support.spool_on_disk import add, opening, remembered, take, take_all
from support.virtual_time import VirtualClock

from tailer.errors import SinkError
from tailer.spool.contract import SinkPosition
from tailer.spool.transactions import GroupCommit

DEADLINE_S = 20.0  # of real time, so that a broken test ends


@dataclass(slots=True)
class ThreadGate:
    """A change that blocks the database's thread until `opened` is set."""

    entered: Event = field(default_factory=Event)
    opened: Event = field(default_factory=Event)

    def __call__(self, _: sqlite3.Connection) -> None:
        self.entered.set()
        assert self.opened.wait(DEADLINE_S)

    async def is_entered(self) -> None:
        assert await anyio.to_thread.run_sync(self.entered.wait, DEADLINE_S)


@dataclass(slots=True)
class Rig:
    """A table of numbers, and the numbers reported as stored."""

    connection: sqlite3.Connection
    store: GroupCommit
    stored: list[object] = field(default_factory=list)

    async def put(self, number: int) -> None:
        await self.store.commit(inserting(number), lambda _: self.stored.append(number))

    async def hold(self, gate: ThreadGate) -> None:
        await self.store.commit(gate, lambda _: None)

    def rows(self) -> list[object]:
        return [row[0] for row in self.connection.execute("SELECT n FROM numbers ORDER BY rowid")]


def inserting(number: int) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,))


@pytest.fixture
def rig(tmp_path: Path, clock: VirtualClock) -> Iterator[Rig]:
    path = tmp_path / "numbers.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (n INTEGER NOT NULL)")
        yield Rig(connection, GroupCommit(connection, clock=clock, name="numbers"))


def is_full(connection: sqlite3.Connection, *, pages: int | None) -> None:
    """As on a full disk: SQLITE_FULL from the page after these on; None: there is room."""
    connection.execute(f"PRAGMA max_page_count = {pages or 1_000_000}")


async def test_commits_that_wait_share_the_next_transaction(rig: Rig) -> None:
    gate = ThreadGate()
    commits: list[None] = []
    rig.connection.set_trace_callback(
        lambda statement: commits.append(None) if statement == "COMMIT" else None
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.hold, gate)
        await gate.is_entered()
        for number in range(50):
            tasks.start_soon(rig.put, number)
        await anyio.wait_all_tasks_blocked()
        gate.opened.set()

    assert rig.rows() == list(range(50))
    assert len(commits) == 2


async def test_commits_are_confirmed_in_order(rig: Rig) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(rig.put, number)

    assert rig.stored == rig.rows() == list(range(50))


async def test_a_commit_canceled_in_the_queue_stores_nothing(rig: Rig) -> None:
    gate = ThreadGate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.hold, gate)
        await gate.is_entered()
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(rig.put, 1)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        tasks.start_soon(rig.put, 2)
        await anyio.wait_all_tasks_blocked()
        gate.opened.set()

    assert rig.stored == rig.rows() == [2]


async def test_a_commit_canceled_in_its_transaction_does_not_cancel_others(rig: Rig) -> None:
    first, second = ThreadGate(), ThreadGate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.hold, first)
        await first.is_entered()
        tasks.start_soon(rig.hold, second)  # the next transaction, and with it:
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(rig.put, 1)
            await anyio.wait_all_tasks_blocked()
            first.opened.set()
            await second.is_entered()
            tasks.start_soon(rig.put, 2)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        second.opened.set()

    assert rig.stored == rig.rows() == [1, 2]


async def test_a_transaction_on_a_full_disk_is_rolled_back_and_retried(
    rig: Rig, clock: VirtualClock
) -> None:
    big = bytes(50_000)

    def insert_big(connection: sqlite3.Connection) -> object:
        return connection.execute("INSERT INTO numbers VALUES (?)", (big,))

    is_full(rig.connection, pages=4)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.put, 1)
        tasks.start_soon(rig.store.commit, insert_big, lambda _: rig.stored.append(big))
        tasks.start_soon(rig.put, 3)
        await clock.sleep(30)
        while_full = (rig.rows(), list(rig.stored))
        is_full(rig.connection, pages=None)

    assert while_full == ([], [])
    assert rig.stored == rig.rows() == [1, big, 3]


async def test_after_an_error_of_unknown_outcome_every_commit_fails(rig: Rig) -> None:
    rig.connection.execute("DROP TABLE numbers")

    with pytest.raises(SinkError, match="cannot be used any more: no such table") as first:
        await rig.put(1)
    rig.connection.execute("CREATE TABLE numbers (n INTEGER NOT NULL)")
    with pytest.raises(SinkError, match="cannot be used any more"):
        await rig.put(2)

    assert first.value.exit_code == 5
    assert rig.rows() == []


async def test_positions_are_in_the_order_of_delivery(tmp_path: Path) -> None:
    async with opening(tmp_path / "spool.db") as opened:
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(add, opened.spool, number, str(number))
        positions = []
        for _ in range(30):
            (batch,) = await opened.spool.next_batches("file", max_lines=1)
            positions.append(batch.position)
            await opened.spool.commit("file", batch.position, None)

    assert positions == list(range(1, 31))


async def test_a_line_that_waited_for_disk_space_is_stored_once(
    tmp_path: Path, clock: VirtualClock
) -> None:
    message = os.urandom(25_000).hex()  # which does not compress
    async with opening(tmp_path / "spool.db") as opened:
        connection = opened.spool._store._connection
        is_full(connection, pages=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add, opened.spool, 1, message)
            await clock.sleep(30)
            while_full = opened.spool.undelivered_bytes
            is_full(connection, pages=None)
        kept = await remembered(opened.spool)

    assert while_full == 0
    assert kept == [message]


async def test_a_position_can_be_read_while_batches_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    async with opening(path) as opened:
        for number in range(40):
            await add(opened.spool, number, str(number))
    async with opening(path) as opened, anyio.create_task_group() as tasks:

        async def take_everything() -> None:
            for _ in range(40):
                await take(opened.spool)

        tasks.start_soon(take_everything)
        kept = await remembered(opened.spool)

    assert kept == ["39"]


async def test_a_commit_that_was_canceled_at_the_stop_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    async with opening(path) as opened:
        await add(opened.spool, 1, "a")
        await add(opened.spool, 2, "b")
        await take(opened.spool, mark=b"1")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await opened.spool.commit("file", 2, b"2")
    async with opening(path) as opened:
        place = await opened.spool.sink_position("file")
        left = await take_all(opened.spool)

    assert (place, left) == (SinkPosition(1, b"1"), ["b"])
