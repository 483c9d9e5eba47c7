"""Non-blocking stream socket with or without TLS, RFC 6587 framing, first-of-several.

`socket` instead of `anyio`'s streams, because delivery depends on three facts that only a
socket reports: how many bytes the peer's system has acknowledged, a FIN as soon as it
arrives, and the exact error.
"""

import errno
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
from tailer.sinks.syslog.errors import failure

# Linux gives SIOCOUTQ the number of TIOCOUTQ. For TCP: bytes that the peer's system has not
# acknowledged (tcp(7)); for unix sockets: memory of unread data (unix(7)).
_SIOCOUTQ: Final = termios.TIOCOUTQ

_READ_BYTES: Final = 65_536
_MAX_READS: Final = 16  # then other tasks run
_CLOSE_TIMEOUT_S: Final = 1.0  # after our FIN, for the peer's: a socket closed sooner is reset
_TLS_READ_PAUSE_S: Final = 0.005  # TLS must read before it can write: a key change, very rare


class StreamSocket:
    """Connected stream socket. `accepted` counts the bytes that the local system has accepted.

    One task may send while another receives.

    Errors: TransientSinkError for every network error; then only `aclose` may follow.
    """

    def __init__(self, connected: socket.socket, *, server: str, clock: Clock) -> None:
        self.server = server
        self.accepted = 0
        self._socket = connected
        self._clock = clock

    def read_available(self) -> bytes | None:
        """Received bytes, or None if none are available.

        Raises: TransientSinkError when the server has closed the connection.
        """
        try:
            received = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise failure(self.server, error) from error
        if not received:
            raise failure(self.server, BrokenPipeError(errno.EPIPE, "FIN"))
        return received

    def read_all_available(self) -> Iterator[bytes]:
        """All received bytes, in at most 16 reads: a server may send without a pause.

        Raises: TransientSinkError, as `read_available`.
        """
        for _ in range(_MAX_READS):
            received = self.read_available()
            if received is None:
                return
            yield received

    async def receive(self) -> bytes:
        await checkpoint()  # a server that sends without a pause must not block the event loop
        while (received := self.read_available()) is None:
            await anyio.wait_readable(self._socket)
        return received

    async def send(self, portion: bytes | memoryview) -> None:
        """Return when the local system has accepted all bytes."""
        await checkpoint()
        unsent = memoryview(portion)
        while unsent:
            try:
                count = self._socket.send(unsent)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await anyio.wait_writable(self._socket)
            except ssl.SSLWantReadError:
                await self._clock.sleep(_TLS_READ_PAUSE_S)  # the receiving task reads
            except OSError as error:
                # A server that resets may have sent the reason, for example in TLS 1.3 that it
                # refuses our certificate. Reading raises it.
                for _ in self.read_all_available():
                    pass
                raise failure(self.server, error) from error
            else:
                self.accepted += count
                unsent = unsent[count:]

    def unacknowledged(self) -> int:
        """Bytes that the peer's system has not acknowledged."""
        size = struct.calcsize("i")
        (count,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, bytes(size)))
        return int(count)

    async def aclose(self, *, orderly: bool) -> None:
        """Close. `orderly`: with close_notify and FIN, waiting at most 1 s for the peer's FIN."""
        if orderly and self._socket.fileno() >= 0:
            with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True), suppress(OSError):
                await self._shut_down()
        self._socket.close()

    async def _shut_down(self) -> None:
        with suppress(TransientSinkError):
            for _ in self.read_all_available():
                pass  # unread bytes would turn our FIN into a reset
        while isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.unwrap()
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(self._socket)
                continue
            except ssl.SSLWantReadError:
                pass  # our close_notify is sent; the peer's is not needed
            break
        self._socket.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not self._socket.recv(_READ_BYTES):
                    return
            except (BlockingIOError, ssl.SSLWantReadError):
                await anyio.wait_readable(self._socket)
            await checkpoint()


async def run_until_first(*steps: Callable[[], Awaitable[None]]) -> None:
    """Run the steps together; the first step that returns or raises cancels the others.

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
    """`LEN MSG` (RFC 6587, 3.4.1): the length in bytes comes first, so any byte may follow."""
    return [b"%d %b" % (len(message), message) for message in messages]


def lf_ended(messages: Sequence[bytes]) -> list[bytes]:
    """`MSG LF` (RFC 6587, 3.4.2), for messages that contain no newline."""
    return [b"%b\n" % message for message in messages]
