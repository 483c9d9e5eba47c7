"""Syslog servers on loopback, in the test's own loop: well-behaved, and not."""

import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from support.virtual_time import VirtualClock

from tailer.config import SyslogSection
from tailer.sinks.syslog.build import build_transport
from tailer.sinks.syslog.connect import Resolve, resolve
from tailer.sinks.syslog.relp_frames import Frame, FrameReader, encoded
from tailer.sinks.syslog.transport import Transport

Behavior = Callable[[ByteStream], Awaitable[None]]

WELCOME = b"200 OK\nrelp_version=0\nrelp_software=fake\ncommands=syslog"
_SMALL_BUFFER = 65_536  # or a server that does not read at all would take megabytes
_COUNT = re.compile(rb"([1-9][0-9]*) ")


@asynccontextmanager
async def serving(
    behave: Behavior, *, context: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """The port on which `behave` has each connection."""

    async def quietly(stream: ByteStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            try:
                await behave(stream)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(stream)

    failures: list[Exception] = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    server = TLSListener(listener, context) if context else listener
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(server.serve, quietly))
        try:
            yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - no SQL
        except Exception as error:  # noqa: BLE001 - the test's own, to be raised outside the group
            failures.append(error)
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


def transport_to(url: str, *, resolving: Resolve = resolve, **settings: Any) -> Transport:
    section = SyslogSection(url=(url,), **{"ack_hold_s": 0.0, **settings})
    return build_transport(section, url, clock=VirtualClock(), resolve=resolving)


async def reset(stream: ByteStream) -> None:
    raw_socket: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no SQL
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)


@contextmanager
def deaf_server() -> Iterator[socket.socket]:
    """Its system takes connections, and what fits into a small buffer; it reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        listening.setblocking(False)
        yield listening


def whole_messages(received: bytes) -> list[bytes]:
    """Octet-counted ones from the first byte on; the last may be cut off."""
    messages, start = [], 0
    while found := _COUNT.match(received, start):
        end = found.end() + int(found[1])
        if end > len(received):
            break
        messages.append(received[found.end() : end])
        start = end
    assert found or start == len(received) or received[start:].isdigit(), "out of step"
    return messages


class Keeper:
    """Reads everything; closes or resets its first connections after a number of bytes each."""

    def __init__(
        self,
        *,
        limits: Sequence[int] = (),
        end: Callable[[ByteStream], Awaitable[None]] = reset,
    ) -> None:
        self.received: list[bytearray] = []
        self.endings: list[str] = []
        self._limits = list(limits)
        self._end = end

    async def __call__(self, stream: ByteStream) -> None:
        kept = bytearray()
        self.received.append(kept)
        limit = self._limits.pop(0) if self._limits else sys.maxsize
        try:
            while len(kept) < limit:
                kept += await stream.receive(min(65_536, limit - len(kept)))
        except anyio.EndOfStream:
            self.endings.append("in good order")
        except anyio.BrokenResourceError:
            self.endings.append("broken")
        else:
            await self._end(stream)
        await stream.aclose()

    @property
    def messages(self) -> list[bytes]:
        return [message for kept in self.received for message in whole_messages(bytes(kept))]


class RelpServer:
    """Answers `200 OK`, or the result of `judge`. Keeps accepted messages in order."""

    def __init__(
        self,
        *,
        judge: Callable[[bytes], bytes] = lambda _: b"200 OK",
        welcome: bytes = WELCOME,
        answers_at_once: int = 1,
        backwards: bool = False,
        byte_by_byte: bool = False,
        answers_before_end: int | None = None,
        farewell: bool = False,
    ) -> None:
        self.taken: list[bytes] = []
        self.txnrs: list[int] = []
        self.closed = 0
        self.most_unanswered = 0
        self._judge = judge
        self._welcome = welcome
        self._answers_at_once = answers_at_once
        self._backwards = backwards
        self._byte_by_byte = byte_by_byte
        self._answers_left = answers_before_end
        self._farewell = farewell

    async def __call__(self, stream: ByteStream) -> None:
        frames, unanswered = FrameReader(), list[Frame]()
        while True:
            for frame in frames.read(await stream.receive()):
                self.txnrs.append(frame.txnr)
                if frame.command == b"syslog":
                    unanswered.append(frame)
                else:
                    await self.answer_command(stream, frame)
            self.most_unanswered = max(self.most_unanswered, len(unanswered))
            if len(unanswered) >= self._answers_at_once:
                for answered in reversed(unanswered) if self._backwards else unanswered:
                    if self._answers_left == 0:
                        await self._end(stream)
                        return
                    await self._answer(stream, answered)
                unanswered.clear()

    async def answer_command(self, stream: ByteStream, frame: Frame) -> None:
        self.closed += frame.command == b"close"
        content = self._welcome if frame.command == b"open" else b"200 OK"
        await self._send(stream, Frame(frame.txnr, b"rsp", content))

    async def _end(self, stream: ByteStream) -> None:
        self._answers_left = None
        if self._farewell:
            await self._send(stream, Frame(0, b"serverclose"))

    async def _answer(self, stream: ByteStream, frame: Frame) -> None:
        verdict = self._judge(frame.content)
        if verdict.startswith(b"200"):
            self.taken.append(frame.content)
        if self._answers_left is not None:
            self._answers_left -= 1
        await self._send(stream, Frame(frame.txnr, b"rsp", verdict))

    async def _send(self, stream: ByteStream, frame: Frame) -> None:
        whole = encoded(frame)
        pieces = [bytes([byte]) for byte in whole] if self._byte_by_byte else [whole]
        for piece in pieces:
            await stream.send(piece)


class Names:
    """A resolver that knows `known` from the given attempt on."""

    def __init__(self, port: int, *, from_attempt: int = 1) -> None:
        self._port = port
        self._attempts = count(1)
        self._from_attempt = from_attempt

    async def __call__(
        self, _: object, kind: socket.SocketKind
    ) -> list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]]:
        if next(self._attempts) < self._from_attempt:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, ("127.0.0.1", self._port))]
