"""Non-blocking standard error for notices, with an optional pinned line.

`tailer … 2>&1 | less` shares one pipe between lines and notices, and that pipe is full most
of the time. A blocking write would stop the event loop, signals included, and a write that
raises would end following because of a notice.
"""

import os
import select
import stat
from typing import TextIO

_MAX_PENDING_BYTES = 65_536  # when the pipe is full; older notices are dropped first
_ERASE_LINE = "\r\x1b[K"
_FD_DIRECTORY = "/proc/self/fd"  # Linux only; elsewhere poll() shows whether a write blocks


class NoticeStream:
    """Takes whole lines. Text that the pipe has no room for is written before the next notice."""

    def __init__(self, stream: TextIO | None) -> None:
        self._fd = None if stream is None else _unblocked(stream.fileno())
        self._pending = b""
        self._pinned = ""

    @property
    def columns(self) -> int:
        """Width of the terminal; 0 if stderr is no terminal or does not report its width."""
        try:
            return 0 if self._fd is None else os.get_terminal_size(self._fd).columns
        except OSError:
            return 0

    def pin(self, line: str) -> None:
        """Keep `line` below all notices, replacing the last one; "" removes it. Terminal only.

        While the terminal accepts no output, a new line is skipped.
        """
        if self._pending and line:
            return
        if self._pinned or line:
            self._pinned, before = line, self._pinned
            self._pending += f"{_ERASE_LINE if before else ''}{line}".encode()
            self.flush()

    def write(self, text: str) -> int:
        whole = f"{_ERASE_LINE}{text}{self._pinned}" if self._pinned else text
        self._pending += whole.encode(errors="backslashreplace")
        if len(self._pending) > _MAX_PENDING_BYTES:
            newest = self._pending[-_MAX_PENDING_BYTES:]
            self._pending = newest[newest.find(b"\n") + 1 :]
        return len(text)

    def flush(self) -> None:
        try:
            while self._pending and self._has_room():
                assert self._fd is not None
                written = os.write(self._fd, self._pending[: select.PIPE_BUF])
                self._pending = self._pending[written:]
        except BlockingIOError:
            return
        except OSError:  # the pipe is closed or the disk is full: drop notices, keep following
            self._pending = b""

    def _has_room(self) -> bool:
        if self._fd is None:
            self._pending = b""
            return False
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        return bool(ready.poll(0))


def _unblocked(fd: int) -> int:
    """Reopen a pipe or terminal with O_NONBLOCK for the lifetime of the process.

    Setting the flag on `fd` itself would change it for other processes that share it.
    """
    if not os.isatty(fd) and not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    try:
        return os.open(
            f"{_FD_DIRECTORY}/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
    except OSError:
        return fd
