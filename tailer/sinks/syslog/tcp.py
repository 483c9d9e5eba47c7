"""tcp:// and tls://: a stream to a server that never answers."""

import sys
from collections.abc import Callable, Sequence

from tailer.clock import Clock
from tailer.sinks.syslog.contract import Connection
from tailer.sinks.syslog.dialling import Dialler
from tailer.sinks.syslog.gated import GatedConnection, require_gate


class TcpTransport:
    """With TLS if the dialler has it. For Linux only: `require_gate` says why."""

    def __init__(
        self,
        dialler: Dialler,
        *,
        framed: Callable[[Sequence[bytes]], list[bytes]],
        hold_s: float,
        ack_timeout_s: float,
        clock: Clock,
        platform: str = sys.platform,
    ) -> None:
        self.server = dialler.server
        self._dialler = dialler
        self._framed = framed
        self._hold_s = hold_s
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock
        self._platform = platform

    async def connect(self) -> Connection:
        require_gate(self.server, platform=self._platform)
        return GatedConnection(
            await self._dialler.dial(),
            framed=self._framed,
            hold_s=self._hold_s,
            ack_timeout_s=self._ack_timeout_s,
            clock=self._clock,
        )
