"""Non-blocking stream socket, framing, first-of-several.

A connected stream socket, with or without TLS, on which nothing blocks the loop.

A socket of our own, because only it tells all that delivery depends on: what the peer's
system has acknowledged, a FIN the moment it comes, and exactly why it broke.

Several steps side by side, until the first of them ends.

Where one message ends and the next begins on a stream: RFC 6587. Pure.
"""

import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from tailer.clock import Clock
from tailer.errors import SinkError, TransientSinkError
from tailer.sinks.syslog.errors import ended, failure

# Linux gives SIOCOUTQ the number of TIOCOUTQ. For TCP: bytes that the peer's system has not
# acknowledged (tcp(7)); for unix sockets: memory of what the peer has not read (unix(7)).
_SIOCOUTQ: Final = termios.TIOCOUTQ

_READ_BYTES: Final = 65_536
_MOST_READS: Final = 16  # without a look at the rest of the program
_GOODBYE_S: Final = 1.0  # after our FIN, for the peer's: a connection closed sooner is reset
_TLS_TURN_S: Final = 0.005  # TLS wants to write before it can read: a key change, very rare


class StreamSocket:
    """`accepted` counts the bytes that the system has taken.

    One task may send while another receives. Errors: TransientSinkError for all that the
    network can do; the wire is then good for `aclose` only.
    """

    def __init__(self, connected: socket.socket, *, server: str, clock: Clock) -> None:
        self.server = server
        self.accepted = 0
        self._socket = connected
        self._clock = clock

    def take(self) -> bytes | None:
        """What has come; None when there is nothing yet.

        Raises: TransientSinkError when the server has ended it.
        """
        try:
            received = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise failure(self.server, error) from error
        if not received:
            raise ended(self.server)
        return received

    def take_all(self) -> Iterator[bytes]:
        """What has come, up to a bound: a server that never stops talking comes to no end.

        Raises: TransientSinkError, as `take`.
        """
        for _ in range(_MOST_READS):
            received = self.take()
            if received is None:
                return
            yield received

    async def receive(self) -> bytes:
        await checkpoint()  # or a server that never stops talking would keep everybody waiting
        while (received := self.take()) is None:
            await anyio.wait_readable(self._socket)
        return received

    async def send(self, portion: bytes | memoryview) -> None:
        """Returns when the system has taken all of it."""
        await checkpoint()
        rest = memoryview(portion)
        while rest:
            try:
                taken = self._socket.send(rest)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await anyio.wait_writable(self._socket)
            except ssl.SSLWantReadError:
                await self._clock.sleep(_TLS_TURN_S)  # the reader is at it
            except OSError as error:
                self._look_for_a_reason()
                raise failure(self.server, error) from error
            else:
                self.accepted += taken
                rest = rest[taken:]

    def unacknowledged(self) -> int:
        """Bytes that the peer has not taken; 0 when it has all."""
        size = struct.calcsize("i")
        (count,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, bytes(size)))
        return int(count)

    async def aclose(self, *, orderly: bool) -> None:
        """`orderly`: with close_notify and FIN, if the peer hears it soon."""
        if orderly and self._socket.fileno() >= 0:
            with anyio.move_on_after(_GOODBYE_S, shield=True), suppress(OSError):
                await self._part()
        self._socket.close()

    async def _part(self) -> None:
        with suppress(TransientSinkError):
            for _ in self.take_all():
                pass  # unread words would turn our FIN into a reset
        while isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.unwrap()
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(self._socket)
                continue
            except ssl.SSLWantReadError:
                pass  # our close_notify is out; what comes back has nothing for us
            break
        self._socket.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not self._socket.recv(_READ_BYTES):
                    return
            except (BlockingIOError, ssl.SSLWantReadError):
                await anyio.wait_readable(self._socket)
            await checkpoint()  # or a server that never stops talking would hold us here

    def _look_for_a_reason(self) -> None:
        """A server that resets may have said why: in TLS 1.3, that our certificate will not do."""
        for _ in self.take_all():
            pass


async def until_one_ends(*steps: Callable[[], Awaitable[None]]) -> None:
    """The first step that returns or raises ends the others, and all this.

    Errors: the first SinkError is raised as it is, outside of any group.
    """
    failures: list[SinkError] = []

    async def run(step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except SinkError as error:
            failures.append(error)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for step in steps:
            tasks.start_soon(run, step)
    if failures:
        raise failures[0]


def octet_counted(messages: Sequence[bytes]) -> list[bytes]:
    """`LEN MSG`: the length in bytes goes ahead, so a message may hold anything."""
    return [b"%d %b" % (len(message), message) for message in messages]


def lf_ended(messages: Sequence[bytes]) -> list[bytes]:
    """For messages of a format that was told that they may not hold newlines."""
    return [b"%b\n" % message for message in messages]
