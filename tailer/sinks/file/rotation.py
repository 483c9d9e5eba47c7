"""Rotation: when a file is closed, its closed name, compression and deletion.

`d1.log` is closed as `d1.000001.log`, then `d1.000002.log`; compressed, `d1.000001.log.gz`.
Numbers only grow and no name is reused, so a rotation is one rename. An extension begins with
a letter, so the order of names is the order of lines.

Law: closed files are compressed and deleted only up to a number whose closing is committed; a
later closing may be rolled back. Compression is: write .gz.tmp, sync, rename to .gz, sync,
unlink. After a kill one of the two is whole, and `remove_leftovers` deletes the other.
"""

import os
import zlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event, Lock

import structlog

from tailer.errors import SinkError
from tailer.sinks.file.disk import Directory, Tree
from tailer.sinks.file.marks import FileState
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_COMPRESSED = ".gz"
_UNFINISHED = ".gz.tmp"
_MIN_DIGITS = 6
_GZIP_HEADER = 16  # added to zlib's window bits, selects the gzip format
_CHUNK_BYTES = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """0 means never; for `keep_files` it means all.

    A file holds at most `max_bytes`, unless a single write is larger, and lines written within
    one period of `every_s` seconds, counted from 1970: 86400 rotates at midnight UTC.
    """

    max_bytes: int
    every_s: float
    keep_files: int
    compress: bool

    @property
    def wants_housekeeping(self) -> bool:
        return self.compress or self.keep_files > 0

    def is_due(self, state: FileState, more_bytes: int, now_ns: int) -> bool:
        if state.length == 0:
            return False
        if self.max_bytes and state.length + more_bytes > self.max_bytes:
            return True
        period_ns = round(self.every_s * NS_PER_S)
        return period_ns > 0 and now_ns // period_ns > state.written_ns // period_ns


def closed_name(name: str, number: int) -> str:
    stem, _, extension = name.rpartition(".")
    return f"{stem}.{number:0{_MIN_DIGITS}}.{extension}"


def closed_number(name: str, of: str) -> int | None:
    """The number of a closed file of the file `of`, compressed or not; else None."""
    stem, _, extension = of.rpartition(".")
    uncompressed = name.removesuffix(_COMPRESSED)
    digits = uncompressed.removesuffix(f".{extension}").removeprefix(f"{stem}.")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = int(digits)
    return number if uncompressed == closed_name(of, number) else None


def closed_numbers(names: Iterable[str], of: str) -> list[int]:
    """Ascending, without duplicates."""
    numbers = (closed_number(name, of) for name in names)
    return sorted({number for number in numbers if number is not None})


def remove_leftovers(directory: Directory, name: str, up_to: int) -> list[int]:
    """Delete what a killed compression left; the numbers of the closed files up to `up_to`."""
    names = {each for each, _ in directory.disk.names(directory.fd)}
    numbers = [number for number in closed_numbers(names, name) if number <= up_to]
    for number in numbers:
        closed = closed_name(name, number)
        if closed + _UNFINISHED in names:
            directory.remove(closed + _UNFINISHED)
        if closed in names and closed + _COMPRESSED in names:
            directory.remove(closed)
    return numbers


class _StoppedError(Exception):
    """The sink is being closed; the next start does the rest."""


class Housekeeper:
    """One background thread that compresses and deletes closed files.

    A failure is logged as a warning and retried with the next `submit`: no line depends on it.

    Resources: the thread starts with the first `submit`, and ends in `close`.
    """

    def __init__(self, tree: Tree, rotation: Rotation) -> None:
        self._tree = tree
        self._rotation = rotation
        self._pending: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._lock = Lock()
        self._stopped = Event()
        self._thread: ThreadPoolExecutor | None = None
        self._futures: list[Future[None]] = []

    @property
    def pending(self) -> dict[str, int]:
        """The submitted paths that are not finished, with their numbers."""
        with self._lock:
            return dict(self._pending)

    def submit(self, path: str, up_to: int) -> None:
        with self._lock:
            failed, self._failed = self._failed, {}
            self._pending[path] = up_to
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="tailer-housekeeping")
        self._futures = [future for future in self._futures if not future.done()]
        for each, number in {**failed, path: up_to}.items():
            self._futures.append(self._thread.submit(self._run, each, number))

    def _run(self, path: str, up_to: int) -> None:
        if self._stopped.is_set():
            return
        try:
            self.tidy(path, up_to)
        except _StoppedError:
            return
        except (OSError, SinkError) as error:
            log.warning("housekeeping_failed", file=f"{self._tree.base}/{path}", error=str(error))
            with self._lock:  # it stays pending: a closed file may exist under two names
                self._failed[path] = up_to
            return
        with self._lock:
            if self._pending.get(path) == up_to:
                del self._pending[path]

    def tidy(self, path: str, up_to: int) -> None:
        """Delete and compress the closed files of `path` up to that number. May be repeated."""
        name = PurePosixPath(path).name
        with self._tree.directory(path, create=False) as directory:
            numbers = remove_leftovers(directory, name, up_to)
            kept = numbers[-self._rotation.keep_files :]  # all for 0
            for number in numbers[: len(numbers) - len(kept)]:
                for suffix in ("", _COMPRESSED):
                    if directory.status(closed_name(name, number) + suffix) is not None:
                        directory.remove(closed_name(name, number) + suffix)
            for number in kept if self._rotation.compress else ():
                self._compress(directory, closed_name(name, number))

    def _compress(self, directory: Directory, closed: str) -> None:
        if directory.status(closed) is None:
            return  # already compressed
        unfinished = closed + _UNFINISHED
        try:
            with (
                directory.opened(closed, os.O_RDONLY) as source,
                directory.opened(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as target,
            ):
                self._copy_compressed(directory, source, target)
                directory.sync_file(target, unfinished)
        except (OSError, SinkError, _StoppedError):
            if directory.status(unfinished) is not None:
                directory.remove(unfinished)
            raise
        directory.disk.rename(unfinished, closed + _COMPRESSED, directory.fd)
        directory.sync()
        directory.remove(closed)

    def _copy_compressed(self, directory: Directory, source: int, target: int) -> None:
        """Not by `gzip.GzipFile`, whose destructor may write."""
        compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | _GZIP_HEADER)
        while chunk := directory.disk.read(source, _CHUNK_BYTES):
            if self._stopped.is_set():
                raise _StoppedError
            if compressed := compressor.compress(chunk):
                directory.write(target, compressed)
        directory.write(target, compressor.flush())

    def close(self, timeout_s: float) -> None:
        """Stop the thread, after at most `timeout_s` for submitted work."""
        if self._thread is None:
            return
        wait(self._futures, timeout=timeout_s)
        self._stopped.set()
        self._thread.shutdown(wait=True)
        self._thread = None
