"""Opening a spool: nobody else has it, it is of a version we know, and it is whole."""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import anyio.to_thread
import structlog

from tailer.clock import Clock
from tailer.errors import ConfigError, SinkError
from tailer.model import Batch
from tailer.spool import schema
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
_PARTS = ("", "-wal", "-shm")
_LOOKS = 3  # which all find damage, before it is believed: a read that fails once looks the same
_CHUNK_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class OpenedSpool:
    """`set_aside` is where a damaged spool was moved, when this is a new one in its place.

    It stays set, start after start, until something is stored in the new one.
    """

    spool: SqliteSpool
    set_aside: Path | None
    abandoned: Mapping[str, int]


_Opened: TypeAlias = tuple[sqlite3.Connection, schema.Stored, Path | None]


@asynccontextmanager
async def open_spool(
    path: Path,
    *,
    sinks: Sequence[str],
    max_bytes: int,
    clock: Clock,
    droppers: Collection[str] = (),
    on_drop: Callable[[str, Batch], None] = lambda _sink, _batch: None,
) -> AsyncIterator[OpenedSpool]:
    """The spool at `path`, for as long as the block lasts; a new one where there is none.

    A damaged one is set aside, whole, and a new one begun: the caller must say so. When it
    is full, the oldest batches of the sinks in `droppers` go unwritten, and `on_drop` is told.

    Raises:
        ConfigError: Another process has it, or a newer version of tailer made it.
        SinkError: It cannot be read or created, which says nothing about its contents.
    """
    path = await anyio.to_thread.run_sync(_real, path)
    with _owning(path):
        stamp = datetime.fromtimestamp(clock.wall_ns() // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
        connection, stored, set_aside = await anyio.to_thread.run_sync(
            _open_or_replace, path, sinks, stamp
        )
        with closing(connection):
            store = GroupCommit(connection, clock=clock, name=str(path))
            if set_aside is not None:
                store.go_along(schema.forget_the_loss)  # the first commit says where to go on
            spool = SqliteSpool(
                store,
                stored,
                max_bytes=max_bytes,
                clock=clock,
                droppers=droppers,
                on_drop=on_drop,
            )
            yield OpenedSpool(spool, set_aside, stored.abandoned)


def _real(path: Path) -> Path:
    """Behind all links: one spool has one lock, whatever way leads to it."""
    if not path.name:
        raise ConfigError(
            "[spool] path names no file", hint="write one like /var/lib/tailer/spool.db"
        )
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise _unusable(path, str(error)) from error


def lock_path_of(path: Path) -> Path:
    """Of the spool that really is at `path`. Who holds that lock (flock) has the spool."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def _owning(path: Path) -> Iterator[None]:
    """Hold the lock beside the spool. The kernel lets go of it however we end."""
    lock_path = lock_path_of(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise ConfigError(
                f"the spool {path} is in use by process {owner or 'unknown'}",
                hint="end that process, or give this one a [spool] path of its own",
            ) from error
        except OSError as error:
            raise _unusable(path, f"it cannot be locked: {error.strerror}") from error
        with suppress(OSError):  # only a courtesy, for which a full disk may have no room
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(fd)


def _open_or_replace(path: Path, sinks: Sequence[str], stamp: str) -> _Opened:
    for _ in range(_LOOKS):
        try:
            return _open(path, sinks)
        except (sqlite3.Error, ValueError) as error:
            reason = str(error)
            if not _is_damage(error):
                raise _unusable(path, reason) from error
        _read_all(path)
    log.error("spool_corrupt", spool=str(path), error=reason)
    set_aside = path.with_name(f"{path.name}{_SET_ASIDE}{stamp}")
    try:
        for suffix in _PARTS:
            part = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError):
                part.rename(set_aside.with_name(set_aside.name + suffix))
        return _open(path, sinks)
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, f"the damaged one was to be replaced: {error}") from error


def _latest_set_aside(path: Path) -> Path | None:
    names = [
        each.name
        for each in path.parent.iterdir()
        if each.name.startswith(f"{path.name}{_SET_ASIDE}") and each.name.endswith("Z")
    ]
    return path.with_name(max(names)) if names else None


def _read_all(path: Path) -> None:
    """SQLite calls it damage, too, when a disk refuses to read. Then the contents may be whole."""
    for suffix in _PARTS:
        part = path.with_name(path.name + suffix)
        try:
            with part.open("rb", buffering=0) as file:
                while file.read(_CHUNK_BYTES):
                    pass
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unusable(path, f"{part.name} cannot be read: {error.strerror}") from error


def _is_damage(error: Exception) -> bool:
    """Whether the contents are wrong, rather than the disk or our rights."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return isinstance(error, ValueError)


def _open(path: Path, sinks: Sequence[str]) -> _Opened:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_PRAGMAS)
        _check(connection, path)
        stored = schema.load(connection, sinks=sinks)
        is_told = not schema.comes_after_a_loss(connection)
        return connection, stored, None if is_told else _latest_set_aside(path) or path
    except BaseException:
        connection.close()
        raise


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise ConfigError(
            f"the spool {path} was made by a newer tailer: its version is {version}, "
            f"this one knows {schema.VERSION}",
            hint="install that newer version again, or move the spool away to begin anew",
        )
    if version == 0:
        # One beside it that was set aside: if that had been told, this one would not be new.
        schema.create(connection, after_a_loss=_latest_set_aside(path) is not None)
    problems = connection.execute("PRAGMA quick_check").fetchall()
    if problems != [("ok",)]:
        raise ValueError(f"quick_check: {problems[0][0]}")
    schema.migrate(connection, version)


def _unusable(path: Path, reason: str) -> SinkError:
    return SinkError(
        f"the spool {path} cannot be opened: {reason}",
        hint="nothing was changed; [spool] path must be in a folder that tailer may write to",
    )
