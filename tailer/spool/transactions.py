"""Many small changes, few transactions: whoever finds the door open takes along all who wait."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import structlog

from tailer.clock import Clock
from tailer.errors import SinkError

log = structlog.get_logger()

_Result = TypeVar("_Result")
Work: TypeAlias = Callable[[sqlite3.Connection], _Result]
"""Something to do with the database, in its thread."""

_RETRY_S = 1.0  # room on a disk comes when somebody makes some
# After these SQLite has rolled back, and nothing happened. After any other error it may have.
_DEFINITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY})


@dataclass(slots=True, eq=False)
class _Ticket:
    work: Work[Any]
    stored: Callable[[Any], None]
    is_done: bool = False


class GroupCommit:
    """The database, from the event loop. One thread; it is never waited for in the loop.

    Errors: while the disk is full or read-only a commit waits and is tried again, without
    end. After any other failure SinkError, for good: what is on disk then is unknown, and
    only a new start can tell.
    """

    def __init__(self, connection: sqlite3.Connection, *, clock: Clock, name: str) -> None:
        self._connection = connection
        self._clock = clock
        self._name = name
        self._thread = anyio.CapacityLimiter(1)
        self._door = anyio.Lock()
        self._tickets: list[_Ticket] = []
        self._luggage: list[Work[object]] = []
        self._failure: SinkError | None = None
        self.blocked_reason = ""  # the disk takes nothing at the moment, and is asked again

    async def commit(self, work: Work[_Result], stored: Callable[[_Result], None]) -> None:
        """Have `work` done and stored; `stored` is called at once, in the order of commits."""
        ticket = _Ticket(work, stored)
        self._tickets.append(ticket)
        try:
            async with self._door:
                if not ticket.is_done:
                    await self._commit_all()
        finally:
            if ticket in self._tickets:
                self._tickets.remove(ticket)

    def go_along(self, work: Work[object]) -> None:
        """Have `work` done with the next commit, whenever that comes."""
        self._luggage.append(work)

    async def read(self, work: Work[_Result]) -> _Result:
        """What `work` finds, as of the last commit."""
        try:
            return await anyio.to_thread.run_sync(work, self._connection, limiter=self._thread)
        except (sqlite3.Error, ValueError) as error:
            raise self._fatal(error) from error

    async def _commit_all(self) -> None:
        is_told = False
        while True:
            if self._failure is not None:
                raise self._failure
            tickets, luggage = list(self._tickets), list(self._luggage)
            works = [*luggage, *(ticket.work for ticket in tickets)]
            try:
                results = await anyio.to_thread.run_sync(
                    _transact, self._connection, works, limiter=self._thread
                )
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF not in _DEFINITE:
                    raise self._fatal(error) from error
                if not is_told:
                    is_told = True
                    log.warning("spool_write_blocked", spool=self._name, error=str(error))
                self.blocked_reason = str(error)
                await self._clock.sleep(_RETRY_S)
                continue
            self.blocked_reason = ""
            if is_told:
                log.info("spool_recovered", spool=self._name)
            del self._luggage[: len(luggage)]
            for ticket, result in zip(tickets, results[len(luggage) :], strict=True):
                ticket.is_done = True
                if ticket in self._tickets:  # it is not, when its owner was canceled meanwhile
                    self._tickets.remove(ticket)
                ticket.stored(result)
            return

    def _fatal(self, error: Exception) -> SinkError:
        self._failure = SinkError(
            f"the spool {self._name} cannot be used any more: {error}",
            hint="what was stored is safe; the next start goes on from there",
        )
        return self._failure


def _transact(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Any]:
    """All of `works` in one transaction, or none. In the thread."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [work(connection) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results
