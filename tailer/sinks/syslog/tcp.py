"""Tcp:// and tls://, delivered when acknowledged and held.

A stream without answers, on which only what the peer's system has taken counts as delivered.

Law: nothing of a `send` is delivered before its last byte is acknowledged *and* the
connection has stayed well for `hold_s` after that. Whatever happens sooner, the whole of it
is sent again, from the start of a frame. What the peer's system has taken may still be lost
with a peer that is killed: this protocol has no word for "I have it".

tcp:// and tls://: a stream to a server that never answers.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from tailer.clock import Clock
from tailer.errors import SinkError, TransientSinkError
from tailer.sinks.syslog.connect import Connector
from tailer.sinks.syslog.errors import is_tls_alert, needs_tls
from tailer.sinks.syslog.stream import StreamSocket, until_one_ends
from tailer.sinks.syslog.transport import Connection, Outbox

_PORTION_BYTES: Final = 65_536  # one system call; and as much as TLS encrypts at a time
_FIRST_LOOK_S: Final = 0.001  # on a local network the acknowledgement is there by then
_SLOWEST_LOOK_S: Final = 0.020  # adds that much at most, where acknowledgements take longer


class GatedConnection:
    """Over `wire`. What the peer sends is ignored; that it ends is seen at once.

    Errors: TransientSinkError when the connection breaks, or when nothing moves for
    `ack_timeout_s`: no byte taken and none acknowledged.
    """

    def __init__(
        self,
        wire: StreamSocket,
        *,
        framed: Callable[[Sequence[bytes]], list[bytes]],
        hold_s: float,
        ack_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._wire = wire
        self._framed = framed
        self._hold_s = hold_s
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock
        self._usable = True

    async def send(self, outbox: Outbox) -> None:
        if not outbox:
            return
        assert self._usable, "a broken connection may hold half a frame"
        self._usable = False
        waiting = outbox.waiting
        await until_one_ends(
            lambda: self._bring(b"".join(self._framed([message for _, message in waiting]))),
            self._listen,
            self._watch,
        )
        outbox.deliver(number for number, _ in waiting)
        self._usable = True

    async def is_open(self) -> bool:
        if not self._usable:
            return False
        try:
            self._hear_out()
        except TransientSinkError:
            self._usable = False
        return self._usable

    async def aclose(self) -> None:
        orderly, self._usable = self._usable, False
        await self._wire.aclose(orderly=orderly)

    async def _bring(self, frames: bytes) -> None:
        """Into the peer's system, and then wait whether it survives that."""
        view = memoryview(frames)
        for start in range(0, len(view), _PORTION_BYTES):
            await self._wire.send(view[start : start + _PORTION_BYTES])
        look_s = _FIRST_LOOK_S
        while self._wire.unacknowledged():
            await self._clock.sleep(look_s)
            look_s = min(2 * look_s, _SLOWEST_LOOK_S)
        await self._clock.sleep(self._hold_s)
        self._hear_out()  # an end that came a moment ago counts, hold or no hold

    async def _listen(self) -> NoReturn:
        while True:
            self._hear(await self._wire.receive())

    def _hear_out(self) -> None:
        for received in self._wire.take_all():
            self._hear(received)

    async def _watch(self) -> NoReturn:
        seen = (-1, -1)
        deadline_s = 0.0
        while True:
            now_s = self._clock.monotonic_s()
            unacknowledged = self._wire.unacknowledged()
            moved = (self._wire.accepted, unacknowledged)
            if moved != seen or not unacknowledged:
                seen, deadline_s = moved, now_s + self._ack_timeout_s
            elif now_s >= deadline_s:
                raise TransientSinkError(
                    f"{self._wire.server}: took nothing for {self._ack_timeout_s:g} s",
                    hint="it hangs, or is too busy to read",
                )
            await self._clock.sleep(min(1.0, self._ack_timeout_s / 10))

    def _hear(self, received: bytes) -> None:
        if is_tls_alert(received):
            raise needs_tls(self._wire.server)


def require_gate(server: str, *, platform: str = sys.platform) -> None:
    """Raises: SinkError where the system does not tell what a peer has acknowledged."""
    if platform != "linux":
        raise SinkError(
            f"{server}: {platform} does not tell what a server has acknowledged, "
            "so lines would be lost in silence",
            hint="use relp:// or relp+tls://, where the server itself says so",
        )


class TcpTransport:
    """With TLS if the connector has it. For Linux only: `require_gate` says why."""

    def __init__(
        self,
        connector: Connector,
        *,
        framed: Callable[[Sequence[bytes]], list[bytes]],
        hold_s: float,
        ack_timeout_s: float,
        clock: Clock,
        platform: str = sys.platform,
    ) -> None:
        self.server = connector.server
        self._connector = connector
        self._framed = framed
        self._hold_s = hold_s
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock
        self._platform = platform

    async def connect(self) -> Connection:
        require_gate(self.server, platform=self._platform)
        return GatedConnection(
            await self._connector.dial(),
            framed=self._framed,
            hold_s=self._hold_s,
            ack_timeout_s=self._ack_timeout_s,
            clock=self._clock,
        )
