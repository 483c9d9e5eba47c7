"""Stdout and --tee, non-blocking.

Writing to a descriptor that somebody else opened, without ever stopping the event loop.

A reader may be slow, or stopped (`less`, ctrl-S), and a thread that is stuck in a write
keeps the process from ending. O_NONBLOCK on the descriptor itself is no way out: it
belongs to the *open file description*, which the shell and our siblings share.

Lines to whoever reads our standard output, or the like: a person, a pipe, a file.
"""

import errno
import os
import select
import socket
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from tailer.errors import ReaderGoneError, SinkError
from tailer.model import Batch
from tailer.sinks.formats.build import Formatter

_CHUNK_BYTES = 65_536  # what a Linux pipe holds
_TTY_CHUNK_BYTES = 256  # a tty counts as writable as soon as there is room for one byte
_READER_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET})


@dataclass(frozen=True, slots=True)
class _Way:
    """How to write to one kind of thing.

    `send` takes some of the bytes, at least one, or raises BlockingIOError. `chunk_bytes`
    is as much as it is given at once. `may_block` says that `send` waits in the kernel
    unless it is asked first. `waits` is False where nothing can be asked: files, /dev/null.
    """

    fd: int
    send: Callable[[bytes], int]
    close: Callable[[], None] = lambda: None
    chunk_bytes: int = _CHUNK_BYTES
    may_block: bool = False
    waits: bool = True
    is_tty: bool = False


class Descriptor:
    """`fd_folder` is where a descriptor's file can be opened once more, on Linux.

    Resources: `fd` stays its owner's; what `open` adds to it, `close` takes away.

    Errors: ReaderGoneError when nobody can read any more, SinkError for all else; both
    name the descriptor by `name`.
    """

    def __init__(self, fd: int, *, name: str, fd_folder: str = "/proc/self/fd") -> None:
        self._fd = fd
        self._name = name
        self._fd_folder = fd_folder
        self._way: _Way | None = None

    def open(self) -> None:
        if self._way is None:
            try:
                self._way = _way_to(self._fd, self._fd_folder)
            except OSError as error:
                raise self._translated(error) from error

    def close(self) -> None:
        if self._way is not None:
            self._way.close()
            self._way = None

    async def write(self, page: bytes) -> None:
        """Returns when the kernel has all of it. Canceled at once, also while it waits.

        As long as the reader keeps up, a canceled write ends between two lines.
        """
        way = self._way
        assert way is not None, "open first"
        start = 0
        while start < len(page):
            if start:
                await checkpoint()
            end = _chunk_end(page, start, way.chunk_bytes)
            try:
                if way.may_block:
                    await anyio.wait_writable(way.fd)
                start += way.send(page[start:end])
            except BlockingIOError:
                await anyio.wait_writable(way.fd)
            except OSError as error:
                raise self._translated(error, way) from error

    async def reader_gone(self) -> None:
        """Waits until nobody can read any more, written to or not; forever for a file.

        A pipe without readers is in a state of error, a socket or terminal without the
        other end in one of hang-up. Those are what an epoll reports unasked, and it is
        itself a descriptor to be waited for. Elsewhere than on Linux: forever.
        """
        way = self._way
        assert way is not None, "open first"
        if not way.waits or not hasattr(select, "epoll"):
            await anyio.sleep_forever()
            return
        with select.epoll() as errors_only:
            errors_only.register(way.fd, 0)
            await anyio.wait_readable(errors_only.fileno())

    def _translated(self, error: OSError, way: _Way | None = None) -> SinkError:
        gone = error.errno in _READER_GONE
        gone |= way is not None and way.is_tty and error.errno == errno.EIO  # its window closed
        if gone:
            return ReaderGoneError(f"nobody reads {self._name} any more")
        if error.errno == errno.EBADF:
            return SinkError(f"{self._name} is not open for writing")
        hint = "make room on that disk" if error.errno == errno.ENOSPC else ""
        return SinkError(f"{self._name} cannot be written: {error.strerror}", hint=hint)


def _chunk_end(page: bytes, start: int, chunk_bytes: int) -> int:
    """After the last whole line within a chunk, or wherever the chunk ends."""
    end = start + chunk_bytes
    if end >= len(page):
        return len(page)
    return page.rfind(b"\n", start, end) + 1 or end


def _way_to(fd: int, fd_folder: str) -> _Way:
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        return _way_to_socket(fd)
    is_tty = os.isatty(fd)
    if not is_tty and not stat.S_ISFIFO(mode):
        return _Way(fd, lambda chunk: os.write(fd, chunk), waits=False)
    try:
        # A description of our own: O_NONBLOCK on it is nobody else's business.
        own = os.open(f"{fd_folder}/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # no /proc, a terminal of another user, a named pipe without readers
        return _Way(
            fd,
            lambda chunk: os.write(fd, chunk),
            chunk_bytes=_TTY_CHUNK_BYTES if is_tty else select.PIPE_BUF,
            may_block=True,
            is_tty=is_tty,
        )
    return _Way(own, lambda chunk: os.write(own, chunk), close=lambda: os.close(own), is_tty=is_tty)


def _way_to_socket(fd: int) -> _Way:
    """A socket can be asked not to block for one call, which leaves the description alone."""
    own = socket.socket(fileno=os.dup(fd))
    flags = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
    return _Way(own.fileno(), lambda chunk: own.send(chunk, flags), close=own.close)


class StdoutSink:
    """A Sink over a descriptor that is open already, and stays so. It has no marks.

    Written batch by batch and never held back, pipes included. `on_written` is told of
    each batch that is out of our hands.

    Errors: ReaderGoneError once the reader has left, which is how `| head` says that it
    has seen enough; SinkError when the disk is full or the descriptor is no use.
    """

    def __init__(
        self,
        fd: int,
        formatter: Formatter,
        *,
        name: str = "stdout",
        fd_folder: str = "/proc/self/fd",
        on_written: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._on_written = on_written
        self._descriptor = Descriptor(fd, name=name, fd_folder=fd_folder)
        self._formatter = formatter

    async def open(self, mark: bytes | None) -> bytes | None:
        self._descriptor.open()
        return None

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        for batch in batches:
            await self._descriptor.write(self._formatter(batch))
            self._on_written(batch)
        return None

    async def reader_gone(self) -> None:
        """Returns once the reader has left, so that `| head` ends though the target is quiet."""
        await self._descriptor.reader_gone()

    async def aclose(self) -> None:
        self._descriptor.close()
