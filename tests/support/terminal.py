"""A process in a pseudo-terminal: keyboard input and screen contents."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from support.command_line import PATIENCE_S, TAILER

CTRL_C, CTRL_D, TAB = "\x03", "\x04", "\t"
_PIECE_BYTES = 65_536
_COLOR = re.compile("\x1b\\[[0-9;?]*[a-zA-Z]")
_IN_A_SESSION_OF_ITS_OWN = (
    "import os, sys; os.login_tty(os.dup(0)); os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self._fd = fd
        self._shown = b""

    @property
    def screen(self) -> str:
        """All that it has shown so far, without colors, with plain newlines."""
        return _COLOR.sub("", self.raw)

    @property
    def raw(self) -> str:
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, text: str, *, times: int = 1, timeout_s: float = PATIENCE_S) -> str:
        while self.screen.count(text) < times:
            assert self._read(timeout_s), f"no {text!r} (times {times}) in {self.screen!r}"
        return self.screen

    def end(self, *, timeout_s: float = PATIENCE_S) -> int:
        """Its exit code, once it has ended by itself."""
        while self._read(timeout_s):
            pass
        return self.process.wait(timeout_s)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return False
        try:
            piece = os.read(self._fd, _PIECE_BYTES)
        except OSError:  # EIO: the other end is closed
            return False
        self._shown += piece
        return bool(piece)


@contextmanager
def terminal(
    *words: str,
    environ: Mapping[str, str],
    command: tuple[str, ...] = TAILER,
    columns: int = 80,
    lines: int = 24,
) -> Iterator[Terminal]:
    """`command` with `words` in a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", _IN_A_SESSION_OF_ITS_OWN, *command, *words],
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)
