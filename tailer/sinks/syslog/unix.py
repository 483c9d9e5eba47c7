"""unix:///dev/log: the syslog daemon of this machine."""

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Final

import anyio

from tailer.clock import Clock
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.datagram import DatagramConnection, Pace
from tailer.sinks.syslog.errors import failure
from tailer.sinks.syslog.stream import StreamSocket
from tailer.sinks.syslog.tcp import GatedConnection, require_gate
from tailer.sinks.syslog.transport import Connection

_NO_LIMIT: Final = 0.0  # a full buffer is felt here
_BACKLOG_FULL_S: Final = 0.02  # between two attempts; no event tells when there is room


class UnixTransport:
    """As glibc's syslog() does: a datagram socket, or a stream if that is what is there."""

    def __init__(
        self,
        path: str,
        *,
        framed: Callable[[Sequence[bytes]], list[bytes]],
        hold_s: float,
        connect_timeout_s: float,
        ack_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._hold_s = hold_s  # of a stream: what the daemon has read is not yet written
        self.server = f"unix://{path}"
        self._path = path
        self._framed = framed
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock

    async def connect(self) -> Connection:
        try:
            return await self._connect()
        except OSError as error:
            raise failure(self.server, error) from error

    async def _connect(self) -> Connection:
        try:
            connected = await self._connected(socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
        else:
            return DatagramConnection(
                connected,
                server=self.server,
                pace=Pace(_NO_LIMIT, self._clock),
                ack_timeout_s=self._ack_timeout_s,
                clock=self._clock,
            )
        require_gate(self.server)
        connected = await self._connected(socket.SOCK_STREAM)
        return GatedConnection(
            StreamSocket(connected, server=self.server, clock=self._clock),
            framed=self._framed,
            hold_s=self._hold_s,
            ack_timeout_s=self._ack_timeout_s,
            clock=self._clock,
        )

    async def _connected(self, kind: socket.SocketKind) -> socket.socket:
        connecting = socket.socket(socket.AF_UNIX, kind)
        try:
            connecting.setblocking(False)
            with anyio.move_on_after(self._connect_timeout_s) as patience:
                await self._finish_connecting(connecting)
        except BaseException:
            connecting.close()
            raise
        if patience.cancelled_caught:
            connecting.close()
            raise TransientSinkError(
                f"{self.server}: no answer within {self._connect_timeout_s:g} s",
                hint="it accepts no connections; is it too busy?",
            )
        return connecting

    async def _finish_connecting(self, connecting: socket.socket) -> None:
        while True:
            try:
                return connecting.connect(self._path)
            except BlockingIOError:
                await self._clock.sleep(_BACKLOG_FULL_S)
