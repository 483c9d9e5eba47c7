"""When to rotate, names of closed files, compress and delete.

When a file is closed, and what it is called from then on. Pure.

`d1.log` becomes `d1.000001.log`, the next one `d1.000002.log`, and compressed
`d1.000001.log.gz`. Numbers only grow and no name is ever used again, so a rotation is one
rename; and as an extension begins with a letter, names in order are lines in order.

Closed files: the oldest removed, the others compressed. Off the event loop, in own time.

Law: only up to a number of which the closing is committed; younger ones may yet be reopened.
Compressing is tmp, sync, rename, sync, unlink: at any kill one of the two is whole, and
`settle` removes the other.
"""

import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event, Lock

import structlog

from tailer.errors import SinkError
from tailer.sinks.file.disk import Folder, Tree
from tailer.sinks.file.marks import FileState
from tailer.timestamp import NS_PER_S

COMPRESSED = ".gz"
UNFINISHED = ".gz.tmp"
_LEAST_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """0 means: never, and for `keep_files`: all.

    A file holds at most `max_bytes`, unless a single write is larger, and lines that were
    written within one period of `every_s` seconds, counted from 1970: 86400 starts a
    new file after midnight, UTC.
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
    return f"{stem}.{number:0{_LEAST_DIGITS}}.{extension}"


def closed_number(name: str, of: str) -> int | None:
    """The number of a closed file of the file `of`, compressed or not; else None."""
    stem, _, extension = of.rpartition(".")
    digits = name.removesuffix(COMPRESSED).removesuffix(f".{extension}").removeprefix(f"{stem}.")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = int(digits)
    return number if name.removesuffix(COMPRESSED) == closed_name(of, number) else None


def closed_numbers(names: Iterable[str], of: str) -> list[int]:
    """Ascending, each once."""
    numbers = (closed_number(name, of) for name in names)
    return sorted({number for number in numbers if number is not None})


log = structlog.get_logger()

_GZIP_HEADER = 16  # what zlib adds to the window bits to mean the gzip format
_CHUNK_BYTES = 1_048_576


class _StoppedError(Exception):
    """The sink is being closed; the rest is for the next start."""


def settle(folder: Folder, name: str, up_to: int) -> list[int]:
    """Finish or undo what a kill left between two names; the numbers that are there now."""
    names = {each for each, _ in folder.disk.names(folder.fd)}
    numbers = [number for number in closed_numbers(names, name) if number <= up_to]
    for number in numbers:
        closed = closed_name(name, number)
        if closed + UNFINISHED in names:
            folder.remove(closed + UNFINISHED)
        if closed in names and closed + COMPRESSED in names:
            folder.remove(closed)
    return numbers


def settle_path(tree: Tree, path: str, up_to: int) -> None:
    try:
        with tree.folder(path, make=False) as folder:
            settle(folder, PurePosixPath(path).name, up_to)
    except FileNotFoundError:
        return  # with its folder


def tidy(
    tree: Tree,
    path: str,
    up_to: int,
    rotation: Rotation,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Bring the closed files of `path` in order, up to that number. May be repeated."""
    name = PurePosixPath(path).name
    with tree.folder(path, make=False) as folder:
        numbers = settle(folder, name, up_to)
        kept = numbers[-rotation.keep_files :]  # all for 0
        for number in numbers[: len(numbers) - len(kept)]:
            for suffix in ("", COMPRESSED):
                if folder.look(closed_name(name, number) + suffix) is not None:
                    folder.remove(closed_name(name, number) + suffix)
        if rotation.compress:
            for number in kept:
                _compress(folder, closed_name(name, number), is_stopped)


def _compress(folder: Folder, closed: str, is_stopped: Callable[[], bool]) -> None:
    if folder.look(closed) is None:
        return  # compressed already
    unfinished = closed + UNFINISHED
    try:
        with (
            folder.opened(closed, os.O_RDONLY) as source,
            folder.opened(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as target,
        ):
            _pack(folder, source, target, is_stopped)
            folder.sync_file(target, unfinished)
    except (OSError, SinkError, _StoppedError):
        if folder.look(unfinished) is not None:
            folder.remove(unfinished)
        raise
    folder.disk.rename(unfinished, closed + COMPRESSED, folder.fd)
    folder.sync()
    folder.remove(closed)


def _pack(folder: Folder, source: int, target: int, is_stopped: Callable[[], bool]) -> None:
    """As `gzip.GzipFile` would, but it writes when it is told to and never from a destructor."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | _GZIP_HEADER)
    while chunk := folder.disk.read(source, _CHUNK_BYTES):
        if is_stopped():
            raise _StoppedError
        if packed := packer.compress(chunk):
            folder.write(target, packed)
    folder.write(target, packer.flush())


class Housekeeper:
    """One thread that tidies in the background. A failure is a warning: no line depends on it.

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
        """What was submitted and is not done, each path with its number."""
        with self._lock:
            return dict(self._pending)

    def submit(self, path: str, up_to: int) -> None:
        """What failed before is tried again with it."""
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
            tidy(self._tree, path, up_to, self._rotation, self._stopped.is_set)
        except _StoppedError:
            return
        except (OSError, SinkError) as error:
            log.warning("housekeeping_failed", file=f"{self._tree.base}/{path}", error=str(error))
            with self._lock:  # and it stays pending: perhaps a file is there under two names
                self._failed[path] = up_to
            return
        with self._lock:
            if self._pending.get(path) == up_to:
                del self._pending[path]

    def close(self, patience_s: float) -> None:
        """Returns when the thread has ended; it may take so long to finish its work."""
        if self._thread is None:
            return
        wait(self._futures, timeout=patience_s)
        self._stopped.set()
        self._thread.shutdown(wait=True)
        self._thread = None
