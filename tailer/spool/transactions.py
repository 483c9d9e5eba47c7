"""Group commit: one transaction for all queued changes, in one thread."""

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
"""Statements to execute in the database thread."""

_RETRY_PAUSE_S = 1.0
# SQLite has rolled back after these errors; after any other the outcome is unknown.
_RETRYABLE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY})


@dataclass(slots=True, eq=False)
class _Change:
    work: Work[Any]
    stored: Callable[[Any], None]
    is_stored: bool = False


class GroupCommit:
    """Executes work on the database in one thread; the event loop never waits for the disk.

    Errors: while the disk is full or read-only, a commit is retried without limit. After any
    other failure every call raises SinkError: the state on disk is unknown until a restart.
    """

    def __init__(self, connection: sqlite3.Connection, *, clock: Clock, name: str) -> None:
        self._connection = connection
        self._clock = clock
        self._name = name
        self._thread = anyio.CapacityLimiter(1)
        self._lock = anyio.Lock()
        self._changes: list[_Change] = []
        self._deferred: list[Work[object]] = []
        self._failure: SinkError | None = None
        self.blocked_reason = ""  # the error of the commit that is being retried

    async def commit(self, work: Work[_Result], stored: Callable[[_Result], None]) -> None:
        """Execute and store `work`, then call `stored` with its result, in order of commits."""
        change = _Change(work, stored)
        self._changes.append(change)
        try:
            async with self._lock:
                if not change.is_stored:
                    await self._commit_all()
        finally:
            if change in self._changes:
                self._changes.remove(change)

    def defer(self, work: Work[object]) -> None:
        """Execute `work` in the next transaction."""
        self._deferred.append(work)

    async def read(self, work: Work[_Result]) -> _Result:
        """The result of `work` on the last committed state."""
        try:
            return await anyio.to_thread.run_sync(work, self._connection, limiter=self._thread)
        except (sqlite3.Error, ValueError) as error:
            raise self._fatal(error) from error

    async def _commit_all(self) -> None:
        is_logged = False
        while True:
            if self._failure is not None:
                raise self._failure
            changes, deferred = list(self._changes), list(self._deferred)
            works = [*deferred, *(change.work for change in changes)]
            try:
                results = await anyio.to_thread.run_sync(
                    _transact, self._connection, works, limiter=self._thread
                )
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF not in _RETRYABLE:
                    raise self._fatal(error) from error
                if not is_logged:
                    is_logged = True
                    log.warning("spool_write_blocked", spool=self._name, error=str(error))
                self.blocked_reason = str(error)
                await self._clock.sleep(_RETRY_PAUSE_S)
                continue
            self.blocked_reason = ""
            if is_logged:
                log.info("spool_recovered", spool=self._name)
            del self._deferred[: len(deferred)]
            for change, result in zip(changes, results[len(deferred) :], strict=True):
                change.is_stored = True
                if change in self._changes:  # absent when its task was canceled meanwhile
                    self._changes.remove(change)
                change.stored(result)
            return

    def _fatal(self, error: Exception) -> SinkError:
        self._failure = SinkError(
            f"the spool {self._name} cannot be used any more: {error}",
            hint="stored lines are safe; restart tailer to resume from them",
        )
        return self._failure


def _transact(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Any]:
    """Execute all of `works` in one transaction, or none. In the thread."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [work(connection) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results
