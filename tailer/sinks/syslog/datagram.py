"""udp://, and datagram sockets in general: one datagram for each message, no confirmation."""

import errno
import os
import socket
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Address, Resolve, nonblocking_socket, resolve
from tailer.sinks.syslog.errors import failure, stalled, unresolved
from tailer.sinks.syslog.transport import Connection, UnconfirmedMessages

_BURST_S: Final = 0.02  # of datagrams at once: 20 at the default rate, 1/10 of a small buffer
_MIN_SLEEP_S: Final = 0.001  # resolution of a timer
_NO_BUFFER_PAUSE_S: Final = 0.005  # a socket may count as writable while the system has no buffer
_CHECKPOINT_DATAGRAMS: Final = 100  # then other tasks run


class DatagramPacer:
    """At most `per_s` datagrams a second, 0 for no limit. Unused time is not saved up."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._gap_s = 1 / per_s if per_s else 0.0
        self._clock = clock
        self._due_s = 0.0

    async def wait(self) -> None:
        if not self._gap_s:
            return
        now_s = self._clock.monotonic_s()
        self._due_s = max(self._due_s, now_s - _BURST_S) + self._gap_s
        if self._due_s - now_s >= _MIN_SLEEP_S:
            await self._clock.sleep(self._due_s - now_s)


@dataclass(frozen=True, slots=True)
class DatagramConnection:
    """Over `connected`, which it owns. Delivered means: in a buffer of the system.

    Errors: TransientSinkError when no process listens, when nothing is accepted for
    `ack_timeout_s`, and, after all others are sent, when a message is too long.
    """

    connected: socket.socket
    server: str
    pacer: DatagramPacer
    ack_timeout_s: float
    clock: Clock

    async def send(self, unconfirmed: UnconfirmedMessages) -> None:
        too_long = 0
        for count, (number, message) in enumerate(unconfirmed.pending):
            if count % _CHECKPOINT_DATAGRAMS == 0:
                await checkpoint()
            await self.pacer.wait()
            try:
                await self._send_one(message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise failure(self.server, error) from error
                unconfirmed.reject_permanently(number, f"{len(message)} bytes are too long")
                too_long += 1
            else:
                unconfirmed.confirm([number])
        if too_long:
            raise TransientSinkError(
                f"{self.server}: {too_long} messages are too long for a datagram",
                hint="set a smaller max_message_bytes",
            )

    async def is_open(self) -> bool:
        return self.connected.fileno() >= 0 and not self._pending_error()

    async def aclose(self) -> None:
        self.connected.close()

    async def _send_one(self, message: bytes) -> None:
        """Raises: OSError, also the error that this datagram itself caused."""
        if not self._try_send(message):
            with anyio.move_on_after(self.ack_timeout_s) as timeout:
                await self._wait_and_send(message)
            if timeout.cancelled_caught:
                raise stalled(self.server, self.ack_timeout_s)
        code = self._pending_error()
        if code not in {0, errno.EMSGSIZE}:  # EMSGSIZE is about an earlier datagram
            raise OSError(code, os.strerror(code))

    async def _wait_and_send(self, message: bytes) -> None:
        while True:
            await anyio.wait_writable(self.connected)
            if self._try_send(message):
                return
            await self.clock.sleep(_NO_BUFFER_PAUSE_S)

    def _try_send(self, message: bytes) -> bool:
        """False while the system has no buffer for it. Raises: OSError."""
        try:
            try:
                self.connected.send(message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                # A router may have reported an earlier datagram. The system reports that once
                # and then sends smaller packets. A message that is too long fails again.
                self.connected.send(message)
        except OSError as error:
            if isinstance(error, BlockingIOError) or error.errno == errno.ENOBUFS:
                return False
            raise
        return True

    def _pending_error(self) -> int:
        """On the same machine, the refusal of a datagram is known as soon as it is sent."""
        return self.connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@dataclass(frozen=True, slots=True)
class UdpTransport:
    """Best effort and paced. Mostly only the same machine reports that no process listens."""

    server: str
    address: Address
    section: SyslogSection
    pacer: DatagramPacer  # outlives connections
    clock: Clock
    resolve: Resolve = resolve

    async def connect(self) -> Connection:
        timeout_s = self.section.connect_timeout_s
        try:
            with anyio.move_on_after(timeout_s):
                endpoints = await self.resolve(self.address, socket.SOCK_DGRAM)
                if not endpoints:
                    raise unresolved(self.server, None)
                family, endpoint = endpoints[0]
                with nonblocking_socket(family, socket.SOCK_DGRAM) as connected:
                    connected.connect(endpoint)  # only a connected socket reports a refusal
                ack_timeout_s = self.section.ack_timeout_s
                return DatagramConnection(
                    connected, self.server, self.pacer, ack_timeout_s, self.clock
                )
        except OSError as error:
            raise failure(self.server, error) from error
        raise TransientSinkError(
            f"{self.server}: the name was not resolved within {timeout_s:g} s",
            hint="is the name server reachable?",
        )
