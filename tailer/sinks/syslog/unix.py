"""unix:///dev/log: the local syslog daemon, over a datagram or stream socket."""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import nonblocking_socket
from tailer.sinks.syslog.datagram import DatagramConnection, DatagramPacer
from tailer.sinks.syslog.errors import failure
from tailer.sinks.syslog.stream import StreamSocket
from tailer.sinks.syslog.tcp import StreamConnection, require_acknowledgement_count
from tailer.sinks.syslog.transport import Connection

_NO_LIMIT: Final = 0.0  # a full buffer blocks the write
_CONNECT_RETRY_PAUSE_S: Final = 0.02  # while the backlog is full: no event reports room in it


@dataclass(frozen=True, slots=True)
class UnixTransport:
    """Like glibc's syslog(): a datagram socket, or a stream socket if the daemon listens on one."""

    path: str
    section: SyslogSection
    framed: Callable[[Sequence[bytes]], list[bytes]]
    clock: Clock

    @property
    def server(self) -> str:
        return f"unix://{self.path}"

    async def connect(self) -> Connection:
        try:
            return await self._connect_either()
        except OSError as error:
            raise failure(self.server, error) from error

    async def _connect_either(self) -> Connection:
        try:
            connected = await self._connect(socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
        else:
            pacer, ack_timeout_s = DatagramPacer(_NO_LIMIT, self.clock), self.section.ack_timeout_s
            return DatagramConnection(connected, self.server, pacer, ack_timeout_s, self.clock)
        require_acknowledgement_count(self.server)
        connected = await self._connect(socket.SOCK_STREAM)
        stream = StreamSocket(connected, server=self.server, clock=self.clock)
        return StreamConnection(stream, self.section, self.framed, self.clock)

    async def _connect(self, kind: socket.SocketKind) -> socket.socket:
        timeout_s = self.section.connect_timeout_s
        with nonblocking_socket(socket.AF_UNIX, kind) as connecting:
            with anyio.move_on_after(timeout_s):
                while True:
                    try:
                        connecting.connect(self.path)
                    except BlockingIOError:
                        await self.clock.sleep(_CONNECT_RETRY_PAUSE_S)
                    else:
                        return connecting
            raise TransientSinkError(
                f"{self.server}: no answer within {timeout_s:g} s",
                hint="the daemon accepts no connections; is it overloaded?",
            )
