"""tcp:// and tls://, delivered when acknowledged and held.

The server sends no answers. Law: no message of a `send` is delivered before the peer's system
has acknowledged the last byte *and* the connection has stayed open for `ack_hold_s` after
that. If the connection breaks sooner, the whole `send` is repeated from the start of a frame.
A server that is killed may still lose lines that its system has acknowledged: the protocol
has no confirmation by the server itself.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.errors import SinkError, TransientSinkError
from tailer.sinks.syslog.connect import Connector
from tailer.sinks.syslog.errors import check_not_tls, stalled
from tailer.sinks.syslog.stream import StreamSocket, run_until_first
from tailer.sinks.syslog.transport import Connection, UnconfirmedMessages

_WRITE_BYTES: Final = 65_536  # one system call; and as much as TLS encrypts at a time
_FIRST_ACK_CHECK_S: Final = 0.001  # on a local network the acknowledgement has arrived by then
_MAX_ACK_CHECK_S: Final = 0.020  # the largest delay that the checks add


@dataclass(slots=True)
class StreamConnection:
    """Over `stream`. Received bytes are ignored; a FIN is noticed at once.

    `framed` turns messages into frames.

    Errors: TransientSinkError when the connection breaks, or when for `ack_timeout_s` no byte
    is accepted and none is acknowledged.
    """

    stream: StreamSocket
    section: SyslogSection
    framed: Callable[[Sequence[bytes]], list[bytes]]
    clock: Clock
    _usable: bool = field(default=True, init=False)

    async def send(self, unconfirmed: UnconfirmedMessages) -> None:
        if not unconfirmed:
            return
        assert self._usable, "a broken connection may hold half a frame"
        self._usable = False
        pending = unconfirmed.pending
        frames = b"".join(self.framed([message for _, message in pending]))
        await run_until_first(
            lambda: self._write_and_hold(frames), self._read_forever, self._check_progress
        )
        unconfirmed.confirm(number for number, _ in pending)
        self._usable = True

    async def is_open(self) -> bool:
        if not self._usable:
            return False
        try:
            self._read_pending()
        except TransientSinkError:
            self._usable = False
        return self._usable

    async def aclose(self) -> None:
        orderly, self._usable = self._usable, False
        await self.stream.aclose(orderly=orderly)

    async def _write_and_hold(self, frames: bytes) -> None:
        """Write, wait for the acknowledgement of the last byte, then for `ack_hold_s`."""
        view = memoryview(frames)
        for start in range(0, len(view), _WRITE_BYTES):
            await self.stream.send(view[start : start + _WRITE_BYTES])
        pause_s = _FIRST_ACK_CHECK_S
        while self.stream.unacknowledged():
            await self.clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_ACK_CHECK_S)
        await self.clock.sleep(self.section.ack_hold_s)
        self._read_pending()  # a FIN that has just arrived counts, even with ack_hold_s = 0

    async def _read_forever(self) -> NoReturn:
        while True:
            check_not_tls(self.stream.server, await self.stream.receive())

    def _read_pending(self) -> None:
        for received in self.stream.read_all_available():
            check_not_tls(self.stream.server, received)

    async def _check_progress(self) -> NoReturn:
        timeout_s = self.section.ack_timeout_s
        last_progress = (-1, -1)
        deadline_s = 0.0
        while True:
            now_s = self.clock.monotonic_s()
            unacknowledged = self.stream.unacknowledged()
            progress = (self.stream.accepted, unacknowledged)
            if progress != last_progress or not unacknowledged:
                last_progress, deadline_s = progress, now_s + timeout_s
            elif now_s >= deadline_s:
                raise stalled(self.stream.server, timeout_s)
            await self.clock.sleep(min(1.0, timeout_s / 10))


def require_acknowledgement_count(server: str, *, platform: str = sys.platform) -> None:
    """Raises: SinkError where the system does not report unacknowledged bytes (only Linux does)."""
    if platform != "linux":
        raise SinkError(
            f"{server}: {platform} does not report what a server has acknowledged, "
            "so lines could be lost silently",
            hint="use relp:// or relp+tls://, where the server confirms each message",
        )


@dataclass(frozen=True, slots=True)
class TcpTransport:
    """tcp://, or tls:// if the connector uses TLS. Linux only."""

    connector: Connector
    section: SyslogSection
    framed: Callable[[Sequence[bytes]], list[bytes]]
    clock: Clock
    platform: str = sys.platform

    @property
    def server(self) -> str:
        return self.connector.server

    async def connect(self) -> Connection:
        require_acknowledgement_count(self.server, platform=self.platform)
        stream = await self.connector.connect()
        return StreamConnection(stream, self.section, self.framed, self.clock)
