"""Standard error as notices need it: it never blocks, and never ends a follower.

`tailer … 2>&1 | less` shares one pipe between lines and notices, and that pipe is full most
of the time. A notice that waited for room in the kernel would stop the event loop, signals
included; one that raised would end a follower because of a remark.
"""

import os
import select
import stat
from typing import TextIO

_MAX_WAITING_BYTES = 65_536  # of notices for which there is no room; the newest are kept
_WIPE = "\r\x1b[K"  # back to the first column, and everything from there on away
_FD_FOLDER = "/proc/self/fd"  # on Linux; elsewhere a descriptor is asked whether it has room


class NoticeStream:
    """Takes whole lines. What finds no room waits for the next notice, then goes first."""

    def __init__(self, stream: TextIO | None) -> None:
        self._fd = None if stream is None else _unblocked(stream.fileno())
        self._waiting = b""
        self._pinned = ""

    @property
    def columns(self) -> int:
        """Of the terminal that it is; 0 when it is none, or does not say."""
        try:
            return 0 if self._fd is None else os.get_terminal_size(self._fd).columns
        except OSError:
            return 0

    def pin(self, line: str) -> None:
        """Keep `line` below all notices, in place of the last one; empty for none.

        For a terminal only. One that takes nothing is not sent the same again and again.
        """
        if self._waiting and line:
            return
        if self._pinned or line:
            self._pinned, before = line, self._pinned
            self._waiting += f"{_WIPE if before else ''}{line}".encode()
            self.flush()

    def write(self, text: str) -> int:
        whole = f"{_WIPE}{text}{self._pinned}" if self._pinned else text
        self._waiting += whole.encode(errors="backslashreplace")
        if len(self._waiting) > _MAX_WAITING_BYTES:
            newest = self._waiting[-_MAX_WAITING_BYTES:]
            self._waiting = newest[newest.find(b"\n") + 1 :]
        return len(text)

    def flush(self) -> None:
        try:
            while self._waiting and self._has_room():
                assert self._fd is not None
                written = os.write(self._fd, self._waiting[: select.PIPE_BUF])
                self._waiting = self._waiting[written:]
        except BlockingIOError:
            return
        except OSError:  # its reader has left, its disk is full: the lines matter more
            self._waiting = b""

    def _has_room(self) -> bool:
        if self._fd is None:
            self._waiting = b""
            return False
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        return bool(ready.poll(0))


def _unblocked(fd: int) -> int:
    """A description of our own for a pipe or terminal: O_NONBLOCK on `fd` would be its owner's.

    It lives as long as the process.
    """
    if not os.isatty(fd) and not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    try:
        return os.open(
            f"{_FD_FOLDER}/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
    except OSError:
        return fd
