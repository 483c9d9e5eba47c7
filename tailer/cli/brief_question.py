"""A question that gets as long as somebody waits for a key, and no longer.

A child process asks it, and is killed when time is up, whatever it hangs in: a name server
is asked in a thread, and no process ends before its threads do.
"""

import os
import select
import signal
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

import anyio

from tailer.clock import Clock
from tailer.timestamp import NS_PER_MS, NS_PER_S

_PIECE_BYTES = 65_536

Tell: TypeAlias = Callable[[bytes], None]
Question: TypeAlias = Callable[[Tell], Awaitable[None]]


def told_within(seconds: float, question: Question, *, clock: Clock) -> bytes:
    """What `question` has told by then; it may fail or hang, and says nothing on stderr."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _ask(question, writing)
    os.close(writing)
    try:
        return _read(reading, deadline_ns=clock.wall_ns() + round(seconds * NS_PER_S), clock=clock)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _ask(question: Question, fd: int) -> NoReturn:
    def tell(text: bytes) -> None:
        while text:
            text = text[os.write(fd, text) :]

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        anyio.run(question, tell)
    finally:
        os._exit(0)


def _read(fd: int, *, deadline_ns: int, clock: Clock) -> bytes:
    told = b""
    readable = select.poll()
    readable.register(fd, select.POLLIN)
    while (left_ns := deadline_ns - clock.wall_ns()) > 0 and readable.poll(left_ns // NS_PER_MS):
        piece = os.read(fd, _PIECE_BYTES)
        if not piece:
            break
        told += piece
    return told
