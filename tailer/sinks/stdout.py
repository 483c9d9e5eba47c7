"""Stdout and --tee: write to an inherited descriptor without blocking the event loop.

The reader may be slow or suspended (`less`, ctrl-S), and a thread that is blocked in a write
would keep the process from exiting. O_NONBLOCK on the descriptor itself is not possible: the
flag belongs to the *open file description*, which the shell and other processes share.
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

_CHUNK_BYTES = 65_536  # the capacity of a Linux pipe
_TTY_CHUNK_BYTES = 256  # a tty is reported as writable when it has room for one byte
_READER_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET})
_FD_DIRECTORY = "/proc/self/fd"


@dataclass(frozen=True, slots=True)
class _WriteMethod:
    """How to write to one kind of descriptor.

    `send` writes at most `chunk_bytes` bytes and at least one, or raises BlockingIOError. With
    `may_block`, it blocks unless `fd` is writable. Files and /dev/null are not `pollable`.
    """

    fd: int
    send: Callable[[bytes], int]
    close: Callable[[], None] = lambda: None
    chunk_bytes: int = _CHUNK_BYTES
    may_block: bool = False
    pollable: bool = True
    is_tty: bool = False


class NonBlockingWriter:
    """Writes to the descriptor `fd`. On Linux, `fd_directory` is used to open its file again.

    Resources: `fd` stays open; `close` closes what `open` opened in addition.

    Errors: ReaderGoneError when the reader has closed the other end, SinkError for all else.
    Both contain `name`.
    """

    def __init__(self, fd: int, *, name: str, fd_directory: str = _FD_DIRECTORY) -> None:
        self._fd = fd
        self._name = name
        self._fd_directory = fd_directory
        self._method: _WriteMethod | None = None

    def open(self) -> None:
        if self._method is None:
            try:
                self._method = _write_method(self._fd, self._fd_directory)
            except OSError as error:
                raise self._translated(error) from error

    def close(self) -> None:
        if self._method is not None:
            self._method.close()
            self._method = None

    async def write(self, page: bytes) -> None:
        """Return when the kernel has all of `page`. Can be canceled while it waits.

        While the reader keeps up, a canceled write ends between two lines.
        """
        method = self._opened()
        start = 0
        while start < len(page):
            if start:
                await checkpoint()
            end = _chunk_end(page, start, method.chunk_bytes)
            try:
                if method.may_block:
                    await anyio.wait_writable(method.fd)
                start += method.send(page[start:end])
            except BlockingIOError:
                await anyio.wait_writable(method.fd)
            except OSError as error:
                raise self._translated(error, is_tty=method.is_tty) from error

    async def reader_gone(self) -> None:
        """Wait until the reader has closed the other end, without writing; forever for a file.

        A pipe without readers has an error condition, a socket or terminal without its peer a
        hang-up. An epoll reports both without being asked, and can itself be waited for.
        Without epoll (not on Linux): forever.
        """
        method = self._opened()
        if not method.pollable or not hasattr(select, "epoll"):
            await anyio.sleep_forever()
            return
        with select.epoll() as errors_only:
            errors_only.register(method.fd, 0)
            await anyio.wait_readable(errors_only.fileno())

    def _opened(self) -> _WriteMethod:
        assert self._method is not None, "open first"
        return self._method

    def _translated(self, error: OSError, *, is_tty: bool = False) -> SinkError:
        is_window_closed = is_tty and error.errno == errno.EIO
        if error.errno in _READER_GONE or is_window_closed:
            return ReaderGoneError(f"the reader of {self._name} has closed it")
        if error.errno == errno.EBADF:
            return SinkError(f"{self._name} is not open for writing")
        hint = "make room on that disk" if error.errno == errno.ENOSPC else ""
        return SinkError(f"{self._name} cannot be written: {error.strerror}", hint=hint)


def _chunk_end(page: bytes, start: int, chunk_bytes: int) -> int:
    """The end of the last whole line within a chunk; without one, the end of the chunk."""
    end = start + chunk_bytes
    if end >= len(page):
        return len(page)
    return page.rfind(b"\n", start, end) + 1 or end


def _write_method(fd: int, fd_directory: str) -> _WriteMethod:
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):  # MSG_DONTWAIT is per call, and leaves the description unchanged
        own_socket = socket.socket(fileno=os.dup(fd))
        flags = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
        return _WriteMethod(
            own_socket.fileno(), lambda chunk: own_socket.send(chunk, flags), own_socket.close
        )
    is_tty = os.isatty(fd)
    if not is_tty and not stat.S_ISFIFO(mode):
        return _WriteMethod(fd, lambda chunk: os.write(fd, chunk), pollable=False)
    open_flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        own = os.open(f"{fd_directory}/{fd}", open_flags)  # with a description of its own
    except OSError:  # no /proc, a terminal of another user, a named pipe without readers
        return _WriteMethod(
            fd,
            lambda chunk: os.write(fd, chunk),
            chunk_bytes=_TTY_CHUNK_BYTES if is_tty else select.PIPE_BUF,
            may_block=True,
            is_tty=is_tty,
        )
    return _WriteMethod(
        own, lambda chunk: os.write(own, chunk), lambda: os.close(own), is_tty=is_tty
    )


class StdoutSink:
    """A Sink on an open descriptor, which stays open. It has no marks.

    Each batch is written at once, without buffering, also to pipes; then `on_written` is called.

    Errors: ReaderGoneError when the reader has closed the other end, as `| head` does; SinkError
    when the disk is full or the descriptor is unusable.
    """

    def __init__(
        self,
        fd: int,
        formatter: Formatter,
        *,
        name: str = "stdout",
        fd_directory: str = _FD_DIRECTORY,
        on_written: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._on_written = on_written
        self._writer = NonBlockingWriter(fd, name=name, fd_directory=fd_directory)
        self._formatter = formatter

    async def open(self, mark: bytes | None) -> bytes | None:
        self._writer.open()
        return None

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        for batch in batches:
            await self._writer.write(self._formatter(batch))
            self._on_written(batch)
        return None

    async def reader_gone(self) -> None:
        """Wait for the reader to leave, so that `| head` ends while the target is silent."""
        await self._writer.reader_gone()

    async def aclose(self) -> None:
        self._writer.close()
