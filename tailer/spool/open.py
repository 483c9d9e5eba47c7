"""Open the spool: lock it, check its version, replace it if it is damaged."""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import anyio.to_thread
import structlog

from tailer.clock import Clock
from tailer.errors import ConfigError, SinkError
from tailer.spool import schema
from tailer.spool.ledger import Ledger
from tailer.spool.sqlite import SqliteSpool
from tailer.spool.transactions import GroupCommit
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA busy_timeout = 5000;
"""
_SET_ASIDE = ".damaged-"
_SUFFIXES = ("", "-wal", "-shm")
_OPEN_ATTEMPTS = 3  # damage counts after that many: a read that fails once looks the same
_CHUNK_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class OpenedSpool:
    """`set_aside` is the path of the damaged spool that `spool` replaces, if any.

    It is reported at every start until something is stored in the new spool. `abandoned` has
    the removed sinks, each with the number of batches that it had not acknowledged.
    """

    spool: SqliteSpool
    set_aside: Path | None
    abandoned: Mapping[str, int]


_Opened: TypeAlias = tuple[sqlite3.Connection, Ledger, dict[str, int], Path | None]


@asynccontextmanager
async def open_spool(
    path: Path,
    *,
    sinks: Sequence[str],
    max_bytes: int,
    clock: Clock,
    droppers: Collection[str] = (),
) -> AsyncIterator[OpenedSpool]:
    """Open the spool at `path` until the block ends; create it if it is missing.

    A damaged spool is moved aside, and a new one created. When the spool is full, the oldest
    batches of the sinks in `droppers` are dropped, and the spool's `on_drop` is called for each.

    Raises:
        ConfigError: Another process uses the spool, or a newer tailer created it.
        SinkError: It cannot be read or created, although it may not be damaged.
    """
    path = await anyio.to_thread.run_sync(_resolved, path)
    with _locked(path):
        stamp = datetime.fromtimestamp(clock.wall_ns() // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
        connection, ledger, abandoned, set_aside = await anyio.to_thread.run_sync(
            _open_or_replace, path, sinks, stamp
        )
        with closing(connection):
            store = GroupCommit(connection, clock=clock, name=str(path))
            if set_aside is not None:
                store.defer(schema.clear_replaces_damaged)
            spool = SqliteSpool(store, ledger, max_bytes=max_bytes, clock=clock, droppers=droppers)
            yield OpenedSpool(spool, set_aside, abandoned)


def _resolved(path: Path) -> Path:
    """`path` without symbolic links: one spool has one lock."""
    if not path.name:
        raise ConfigError(
            "[spool] path names no file", hint="write one like /var/lib/tailer/spool.db"
        )
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise _cannot_open(path, str(error)) from error


def lock_path_of(path: Path) -> Path:
    """The lock file (flock) of the spool at `path`, which must be resolved."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file. The kernel releases it when the process ends."""
    lock_path = lock_path_of(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _cannot_open(path, error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise ConfigError(
                f"the spool {path} is in use by process {owner or 'unknown'}",
                hint="stop that process, or set another [spool] path for this one",
            ) from error
        except OSError as error:
            raise _cannot_open(path, f"cannot lock it: {error.strerror}") from error
        with suppress(OSError):  # the process id is optional: a full disk may refuse it
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(fd)


def _open_or_replace(path: Path, sinks: Sequence[str], stamp: str) -> _Opened:
    for _ in range(_OPEN_ATTEMPTS):
        try:
            return _open(path, sinks)
        except (sqlite3.Error, ValueError) as error:
            reason = str(error)
            if not _is_damage(error):
                raise _cannot_open(path, reason) from error
        _read_all(path)
    log.error("spool_corrupt", spool=str(path), error=reason)
    set_aside = path.with_name(f"{path.name}{_SET_ASIDE}{stamp}")
    try:
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                _part(path, suffix).rename(_part(set_aside, suffix))
        return _open(path, sinks)
    except (sqlite3.Error, OSError) as error:
        raise _cannot_open(path, f"it is damaged, and cannot be replaced: {error}") from error


def _part(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _latest_set_aside(path: Path) -> Path | None:
    prefix = f"{path.name}{_SET_ASIDE}"
    found = [each for each in path.parent.iterdir() if each.name.startswith(prefix)]
    return max((each for each in found if each.name.endswith("Z")), default=None)


def _read_all(path: Path) -> None:
    """Raise SinkError if the disk fails to read: SQLite reports that as damage, too."""
    for suffix in _SUFFIXES:
        part = _part(path, suffix)
        try:
            with part.open("rb", buffering=0) as file:
                while file.read(_CHUNK_BYTES):
                    pass
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _cannot_open(path, f"cannot read {part.name}: {error.strerror}") from error


def _is_damage(error: Exception) -> bool:
    """Whether the contents are wrong; false for failures of the disk and for permissions."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return isinstance(error, ValueError)


def _open(path: Path, sinks: Sequence[str]) -> _Opened:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _cannot_open(path, error.strerror or str(error)) from error
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_PRAGMAS)
        _check(connection, path)
        ledger, abandoned = schema.load(connection, sinks=sinks)
        is_replacement = schema.replaces_damaged(connection)
        set_aside = (_latest_set_aside(path) or path) if is_replacement else None
    except BaseException:
        connection.close()
        raise
    return connection, ledger, abandoned, set_aside


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Create or migrate the tables. Raises ValueError for damage, ConfigError if newer."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise ConfigError(
            f"the spool {path} was made by a newer tailer: its version is {version}, "
            f"this tailer supports {schema.VERSION}",
            hint="install that newer version again, or move the spool away to start a new one",
        )
    if version == 0:
        # A damaged spool beside a new one: the previous start moved it, and ended before this.
        schema.create(connection, replaces_damaged=_latest_set_aside(path) is not None)
    problems = connection.execute("PRAGMA quick_check").fetchall()
    if problems != [("ok",)]:
        raise ValueError(f"quick_check: {problems[0][0]}")
    schema.migrate(connection, version)


def _cannot_open(path: Path, reason: str) -> SinkError:
    return SinkError(
        f"the spool {path} cannot be opened: {reason}",
        hint="the spool was not changed; [spool] path must be in a directory that tailer can write",
    )
