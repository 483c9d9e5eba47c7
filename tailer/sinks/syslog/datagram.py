"""Datagram sockets and udp://.

A socket on which each message is a datagram: over UDP and on this machine.

udp://: a datagram for each message, and nobody who says whether it came.
"""

import errno
import os
import socket
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from tailer.clock import Clock
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Address, Resolve, resolve
from tailer.sinks.syslog.errors import failure, unresolved
from tailer.sinks.syslog.transport import Connection, Outbox

_BURST_S: Final = 0.02  # of datagrams at once: 20 at the usual pace, a tenth of a small buffer
_SHORTEST_SLEEP_S: Final = 0.001  # what a timer can do
_NO_BUFFER_S: Final = 0.005  # a socket may count as writable while the system has no buffer
_TURN: Final = 100  # datagrams between two looks at the rest of the program


class Pace:
    """At most `per_s` a second, 0 for no limit. Time that nothing used is not saved up."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._gap_s = 1 / per_s if per_s else 0.0
        self._clock = clock
        self._due_s = 0.0

    async def wait(self) -> None:
        if not self._gap_s:
            return
        now_s = self._clock.monotonic_s()
        self._due_s = max(self._due_s, now_s - _BURST_S) + self._gap_s
        if self._due_s - now_s >= _SHORTEST_SLEEP_S:
            await self._clock.sleep(self._due_s - now_s)


class DatagramConnection:
    """Over `connected`, which is closed with it. Delivered means: in a buffer out of our hands.

    Errors: TransientSinkError when nobody listens, when nothing is taken for
    `ack_timeout_s`, and, after all others are sent, when a message is too long.
    """

    def __init__(
        self,
        connected: socket.socket,
        *,
        server: str,
        pace: Pace,
        ack_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._socket = connected
        self._server = server
        self._pace = pace
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock

    async def send(self, outbox: Outbox) -> None:
        too_long = 0
        for turn, (number, message) in enumerate(outbox.waiting):
            if turn % _TURN == 0:
                await checkpoint()
            await self._pace.wait()
            try:
                await self._send_one(message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise failure(self._server, error) from error
                outbox.refuse_for_good(number, f"{len(message)} bytes are too long")
                too_long += 1
            else:
                outbox.deliver([number])
        if too_long:
            raise TransientSinkError(
                f"{self._server}: {too_long} messages are too long for a datagram",
                hint="set a smaller max_message_bytes",
            )

    async def is_open(self) -> bool:
        return self._socket.fileno() >= 0 and not self._pending_error()

    async def aclose(self) -> None:
        self._socket.close()

    async def _send_one(self, message: bytes) -> None:
        """Raises: OSError; also the one that the message itself has called forth."""
        if not self._is_taken(message):
            with anyio.move_on_after(self._ack_timeout_s) as patience:
                await self._wait_and_send(message)
            if patience.cancelled_caught:
                raise TransientSinkError(
                    f"{self._server}: took nothing for {self._ack_timeout_s:g} s",
                    hint="it hangs, or is too busy to read",
                )
        code = self._pending_error()
        if code not in {0, errno.EMSGSIZE}:  # that one is about an earlier datagram, see `_put`
            raise OSError(code, os.strerror(code))

    async def _wait_and_send(self, message: bytes) -> None:
        while True:
            await anyio.wait_writable(self._socket)
            if self._is_taken(message):
                return
            await self._clock.sleep(_NO_BUFFER_S)

    def _is_taken(self, message: bytes) -> bool:
        try:
            self._put(message)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return False
        return True

    def _put(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            # A router may have said so of an earlier one, which is told once: the system
            # sends smaller packets from then on. What is too long itself is so again.
            self._socket.send(message)

    def _pending_error(self) -> int:
        """On this machine, that nobody listens is known as soon as a datagram was sent."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


class UdpTransport:
    """Best effort: paced, and told (mostly on the same machine) when nobody listens."""

    def __init__(
        self,
        server: str,
        address: Address,
        *,
        datagrams_per_s: float,
        connect_timeout_s: float,
        ack_timeout_s: float,
        clock: Clock,
        resolve: Resolve = resolve,
    ) -> None:
        self.server = server
        self._address = address
        self._pace = Pace(datagrams_per_s, clock)  # outlives connections
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock
        self._resolve = resolve

    async def connect(self) -> Connection:
        try:
            with anyio.move_on_after(self._connect_timeout_s):
                endpoints = await self._resolve(self._address, socket.SOCK_DGRAM)
                if not endpoints:
                    raise unresolved(self.server, None)
                return DatagramConnection(
                    self._connected(*endpoints[0]),
                    server=self.server,
                    pace=self._pace,
                    ack_timeout_s=self._ack_timeout_s,
                    clock=self._clock,
                )
        except OSError as error:
            raise failure(self.server, error) from error
        raise TransientSinkError(
            f"{self.server}: the name was not resolved within {self._connect_timeout_s:g} s",
            hint="is the name server reachable?",
        )

    @staticmethod
    def _connected(
        family: socket.AddressFamily, endpoint: tuple[str | int | bytes, ...]
    ) -> socket.socket:
        """Only a connected socket is told when nobody listens."""
        connected = socket.socket(family, socket.SOCK_DGRAM)
        try:
            connected.setblocking(False)
            connected.connect(endpoint)
        except BaseException:
            connected.close()
            raise
        return connected
