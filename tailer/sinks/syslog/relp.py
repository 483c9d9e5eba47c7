"""relp:// and relp+tls://: the server confirms each message."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

import anyio

from tailer import __version__
from tailer.config.settings import SyslogSection
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Connector
from tailer.sinks.syslog.errors import check_not_tls, printable
from tailer.sinks.syslog.relp_frames import (
    Frame,
    FrameReader,
    RelpError,
    RelpStatus,
    encoded,
    status_of,
    txnr_after,
)
from tailer.sinks.syslog.stream import StreamSocket, run_until_first
from tailer.sinks.syslog.transport import Connection, UnconfirmedMessages

_OFFERS: Final = (
    f"relp_version=0\nrelp_software=tailer,{__version__}\ncommands=syslog"  # librelp answers 0 to 1
).encode()
_OK: Final = 200
_CLOSE_TIMEOUT_S: Final = 2.0  # for the response to our `close`
_MAX_WRITE_BYTES: Final = 65_536  # plus one message


@dataclass(frozen=True, slots=True)
class RelpTransport:
    """relp://, or relp+tls:// if the connector uses TLS."""

    connector: Connector
    section: SyslogSection
    first_txnr: int = 1

    @property
    def server(self) -> str:
        return self.connector.server

    async def connect(self) -> Connection:
        stream = await self.connector.connect()
        connection = RelpConnection(stream, self.section, txnr=self.first_txnr)
        try:
            with anyio.move_on_after(self.section.connect_timeout_s):
                await connection.open()
                return connection
        except BaseException:
            await stream.aclose(orderly=False)
            raise
        await stream.aclose(orderly=False)
        raise TransientSinkError(
            f"{self.server}: connected, but no answer to RELP's open within "
            f"{self.section.connect_timeout_s:g} s",
            hint="does the server speak RELP on that port?",
        )


class RelpConnection:
    """RELP session over `stream`. `open` comes first.

    `relp_window` limits the messages without a response.

    Errors: TransientSinkError when the connection breaks, when the server announces that it
    closes, when no response comes for `ack_timeout_s`, and, after all other messages are
    confirmed, when the server rejected messages.
    """

    def __init__(self, stream: StreamSocket, section: SyslogSection, *, txnr: int) -> None:
        self._stream = stream
        self._window = section.relp_window
        self._ack_timeout_s = section.ack_timeout_s
        self._txnr = txnr  # of the next command
        self._frames = FrameReader()
        self._unanswered: dict[int, int] = {}  # txnr -> number of the message
        self._has_room = anyio.Event()
        self._rejected: Counter[str] = Counter()
        self._usable = False

    async def open(self) -> None:
        """Exchange offers. Raises: TransientSinkError."""
        txnr = self._next_txnr()
        await self._stream.send(encoded(Frame(txnr, b"open", _OFFERS)))
        while not self._usable:
            for frame in self._parse(await self._stream.receive()):
                if frame.txnr == txnr and frame.command == b"rsp":
                    self._check_offers(self._status(frame))
                    self._usable = True

    async def send(self, unconfirmed: UnconfirmedMessages) -> None:
        if not unconfirmed:
            return
        assert self._usable, "a broken connection may hold half a frame"
        self._usable = False
        self._rejected.clear()
        await run_until_first(
            lambda: self._write(unconfirmed), lambda: self._read_responses(unconfirmed)
        )
        if self._rejected:
            count, (reason, _) = self._rejected.total(), self._rejected.most_common(1)[0]
            raise TransientSinkError(
                f"{self._stream.server}: the server refused {count} messages: {reason}",
                hint="the server's log may give the reason",
            )
        self._usable = True

    async def is_open(self) -> bool:
        if not self._usable:
            return False
        try:
            for received in self._stream.read_all_available():
                for _ in self._parse(received):
                    pass  # no command is open, so no frame can be a response
        except TransientSinkError:
            self._usable = False
        return self._usable

    async def aclose(self) -> None:
        orderly, self._usable = self._usable, False
        if orderly:
            with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                try:
                    await self._close_session()
                except TransientSinkError:
                    orderly = False
        await self._stream.aclose(orderly=orderly)

    async def _close_session(self) -> None:
        txnr = self._next_txnr()
        await self._stream.send(encoded(Frame(txnr, b"close")))
        while True:
            if any(frame.txnr == txnr for frame in self._parse(await self._stream.receive())):
                return

    async def _write(self, unconfirmed: UnconfirmedMessages) -> None:
        """Return when all messages have a response. Writes as many frames as the window allows."""
        unsent = deque(unconfirmed.pending)
        while unsent or self._unanswered:
            room = self._window - len(self._unanswered)
            # Continue as soon as one message has room: a server's system may hold back its last
            # responses until it receives more (Nagle).
            if not unsent or not room:
                self._has_room = anyio.Event()
                await self._has_room.wait()
                continue
            portion = bytearray()
            while unsent and room and len(portion) < _MAX_WRITE_BYTES:
                number, message = unsent.popleft()
                txnr = self._next_txnr()
                self._unanswered[txnr] = number
                portion += encoded(Frame(txnr, b"syslog", message))
                room -= 1
            await self._stream.send(bytes(portion))

    async def _read_responses(self, unconfirmed: UnconfirmedMessages) -> NoReturn:
        with anyio.move_on_after(self._ack_timeout_s) as timeout:
            while True:
                for frame in self._parse(await self._stream.receive()):
                    if self._accept_response(frame, unconfirmed):
                        timeout.deadline = anyio.current_time() + self._ack_timeout_s
                self._has_room.set()
        raise TransientSinkError(
            f"{self._stream.server}: no answer for {self._ack_timeout_s:g} s",
            hint="it hangs, or is too busy",
        )

    def _accept_response(self, frame: Frame, unconfirmed: UnconfirmedMessages) -> bool:
        """False if the frame is no response to a message: only responses extend the timeout."""
        number = self._unanswered.pop(frame.txnr, None)
        if number is None:
            return False
        status = self._status(frame)
        if status.code == _OK:
            unconfirmed.confirm([number])
        else:
            reason = f"{status.code} {printable(status.text)}".strip()
            unconfirmed.reject(number, reason, now_s=anyio.current_time())
            self._rejected[reason] += 1
        return True

    def _parse(self, received: bytes) -> Iterator[Frame]:
        """Raises: TransientSinkError for bytes that are not RELP, and at a `serverclose`."""
        try:
            frames = self._frames.read(received)
        except RelpError as error:
            check_not_tls(self._stream.server, received)
            raise self._not_relp(error) from error
        for frame in frames:
            if frame.command == b"serverclose":
                raise TransientSinkError(f"{self._stream.server}: the server closes the session")
            yield frame

    def _status(self, response: Frame) -> RelpStatus:
        try:
            return status_of(response)
        except RelpError as error:
            raise self._not_relp(error) from error

    def _not_relp(self, error: RelpError) -> TransientSinkError:
        return TransientSinkError(
            f"{self._stream.server}: the server does not speak RELP on that port: {error}",
            hint="use its RELP port, or the scheme of plain syslog: tcp:// or tls://",
        )

    def _check_offers(self, status: RelpStatus) -> None:
        server = self._stream.server
        if status.code != _OK:
            raise TransientSinkError(
                f"{server}: the server refused RELP's open: {status.code} {printable(status.text)}"
            )
        offers = dict(line.partition(b"=")[::2] for line in status.offers.split(b"\n"))
        if b"relp_version" not in offers:
            raise TransientSinkError(f"{server}: the server agreed to no version of RELP")
        if b"syslog" not in offers.get(b"commands", b"").split(b","):
            raise TransientSinkError(f"{server}: the server accepts no syslog over RELP")

    def _next_txnr(self) -> int:
        txnr = self._txnr
        self._txnr = txnr_after(txnr)
        return txnr
