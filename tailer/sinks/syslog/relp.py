"""relp:// and relp+tls://: the server answers for each message, so nothing is guessed."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final, NoReturn

import anyio

from tailer import __version__
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Connector
from tailer.sinks.syslog.errors import is_tls_alert, needs_tls, printable
from tailer.sinks.syslog.relp_frames import (
    Frame,
    FrameReader,
    RelpError,
    RelpStatus,
    encoded,
    status_of,
    txnr_after,
)
from tailer.sinks.syslog.stream import StreamSocket, until_one_ends
from tailer.sinks.syslog.transport import Connection, Outbox

_OFFERS: Final = (
    f"relp_version=0\nrelp_software=tailer,{__version__}\ncommands=syslog"  # librelp answers 0 to 1
).encode()
_OK: Final = 200
_CLOSING_S: Final = 2.0  # for the answer to our `close`
_MOST_BYTES: Final = 65_536  # of a write, and a message more


class RelpTransport:
    """With TLS if the connector has it. `window`: messages that may be under way unanswered."""

    def __init__(
        self,
        connector: Connector,
        *,
        window: int,
        connect_timeout_s: float,
        ack_timeout_s: float,
        first_txnr: int = 1,
    ) -> None:
        self.server = connector.server
        self._connector = connector
        self._window = window
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._first_txnr = first_txnr

    async def connect(self) -> Connection:
        wire = await self._connector.dial()
        connection = RelpConnection(
            wire, window=self._window, ack_timeout_s=self._ack_timeout_s, txnr=self._first_txnr
        )
        try:
            with anyio.move_on_after(self._connect_timeout_s) as patience:
                await connection.open()
        except BaseException:
            await wire.aclose(orderly=False)
            raise
        if patience.cancelled_caught:
            await wire.aclose(orderly=False)
            raise TransientSinkError(
                f"{self.server}: connected, but no answer to RELP's open within "
                f"{self._connect_timeout_s:g} s",
                hint="does it speak RELP on that port?",
            )
        return connection


class RelpConnection:
    """Over `wire`. `open` comes first.

    Errors: TransientSinkError when the connection breaks, when the server says that it is
    going away, when nothing is answered for `ack_timeout_s`, and, after all else was
    answered, when it refused messages.
    """

    def __init__(self, wire: StreamSocket, *, window: int, ack_timeout_s: float, txnr: int) -> None:
        self._wire = wire
        self._window = window
        self._ack_timeout_s = ack_timeout_s
        self._txnr = txnr  # of the next command
        self._frames = FrameReader()
        self._unanswered: dict[int, int] = {}  # txnr to number in the outbox
        self._answered = anyio.Event()
        self._refused: Counter[str] = Counter()
        self._usable = False

    async def open(self) -> None:
        """The exchange of offers. Raises: TransientSinkError."""
        asked = self._next_txnr()
        await self._wire.send(encoded(Frame(asked, b"open", _OFFERS)))
        while not self._usable:
            for frame in await self._receive():
                if frame.txnr == asked and frame.command == b"rsp":
                    self._check_offers(self._status(frame))
                    self._usable = True

    async def send(self, outbox: Outbox) -> None:
        if not outbox:
            return
        assert self._usable, "a broken connection may hold half a frame"
        self._usable = False
        self._refused.clear()
        await until_one_ends(lambda: self._write(outbox), lambda: self._hear_answers(outbox))
        if self._refused:
            count, (said, _) = self._refused.total(), self._refused.most_common(1)[0]
            raise TransientSinkError(
                f"{self._wire.server}: refused {count} messages: {said}",
                hint="its own log may say why",
            )
        self._usable = True

    async def is_open(self) -> bool:
        if not self._usable:
            return False
        try:
            for received in self._wire.take_all():
                for _ in self._understand(received):
                    pass  # we asked for nothing, so nothing can be answered
        except TransientSinkError:
            self._usable = False
        return self._usable

    async def aclose(self) -> None:
        orderly, self._usable = self._usable, False
        if orderly:
            with anyio.move_on_after(_CLOSING_S, shield=True):
                try:
                    await self._take_leave()
                except TransientSinkError:
                    orderly = False
        await self._wire.aclose(orderly=orderly)

    async def _take_leave(self) -> None:
        asked = self._next_txnr()
        await self._wire.send(encoded(Frame(asked, b"close")))
        while not any(frame.txnr == asked for frame in await self._receive()):
            pass

    async def _write(self, outbox: Outbox) -> None:
        """Until all is answered. As many frames at a time as the window has room for."""
        waiting = deque(outbox.waiting)
        while waiting or self._unanswered:
            room = self._window - len(self._unanswered)
            # Never wait for more room than for one: a server's system may hold back its last
            # answers (Nagle) until it hears from us.
            if not waiting or not room:
                self._answered = anyio.Event()
                await self._answered.wait()
                continue
            portion = bytearray()
            while waiting and room and len(portion) < _MOST_BYTES:
                number, message = waiting.popleft()
                txnr = self._next_txnr()
                self._unanswered[txnr] = number
                portion += encoded(Frame(txnr, b"syslog", message))
                room -= 1
            await self._wire.send(bytes(portion))

    async def _hear_answers(self, outbox: Outbox) -> NoReturn:
        with anyio.move_on_after(self._ack_timeout_s) as patience:
            while True:
                for frame in await self._receive():
                    if self._take_answer(frame, outbox):
                        patience.deadline = anyio.current_time() + self._ack_timeout_s
                self._answered.set()
        raise TransientSinkError(
            f"{self._wire.server}: no answer for {self._ack_timeout_s:g} s",
            hint="it hangs, or is too busy",
        )

    def _take_answer(self, frame: Frame, outbox: Outbox) -> bool:
        """Whether it is one: a server that only chatters has not answered."""
        number = self._unanswered.pop(frame.txnr, None)
        if number is None:
            return False  # to nothing that we asked
        status = self._status(frame)
        if status.code == _OK:
            outbox.deliver([number])
        else:
            said = f"{status.code} {printable(status.said)}".strip()
            outbox.refuse(number, said, now_s=anyio.current_time())
            self._refused[said] += 1
        return True

    async def _receive(self) -> Iterator[Frame]:
        return self._understand(await self._wire.receive())

    def _understand(self, received: bytes) -> Iterator[Frame]:
        """The frames before the server's farewell, for which it raises, as for what is not RELP.

        Raises: TransientSinkError.
        """
        try:
            frames = self._frames.read(received)
        except RelpError as error:
            if is_tls_alert(received):
                raise needs_tls(self._wire.server) from error
            raise self._not_relp(error) from error
        for frame in frames:
            if frame.command == b"serverclose":
                raise TransientSinkError(f"{self._wire.server}: the server is going away")
            yield frame

    def _status(self, answer: Frame) -> RelpStatus:
        try:
            return status_of(answer)
        except RelpError as error:
            raise self._not_relp(error) from error

    def _not_relp(self, error: RelpError) -> TransientSinkError:
        return TransientSinkError(
            f"{self._wire.server}: what answers there is not RELP: {error}",
            hint="a port for plain syslog? take its RELP port, or tcp:// or tls://",
        )

    def _check_offers(self, status: RelpStatus) -> None:
        server = self._wire.server
        if status.code != _OK:
            raise TransientSinkError(
                f"{server}: refused to open RELP: {status.code} {printable(status.said)}"
            )
        offers = dict(line.partition(b"=")[::2] for line in status.rest.split(b"\n"))
        if b"relp_version" not in offers:
            raise TransientSinkError(f"{server}: the server agreed to no version of RELP")
        if b"syslog" not in offers.get(b"commands", b"").split(b","):
            raise TransientSinkError(f"{server}: the server takes no syslog over RELP")

    def _next_txnr(self) -> int:
        txnr = self._txnr
        self._txnr = txnr_after(txnr)
        return txnr
