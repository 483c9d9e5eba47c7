"""udp://: a datagram for each message, and nobody who says whether it came."""

import socket

import anyio

from tailer.clock import Clock
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.contract import Connection
from tailer.sinks.syslog.datagrams import DatagramConnection, Pace
from tailer.sinks.syslog.dialling import Address, Resolve, resolve
from tailer.sinks.syslog.failures import failure, unresolved


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
