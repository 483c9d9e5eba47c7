"""The syslog sink as delivery sees it: one server at a time, and what it has not yet taken."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import structlog

from tailer.errors import TransientSinkError
from tailer.model import Batch, GapReason
from tailer.sinks.syslog.transport import Connection, Outbox, Rejection, Transport

log = structlog.get_logger()

# Our own structured data comes first and begins with the id; whatever a line says is behind it.
_ID: Final = re.compile(rb'<[0-9]+>1 (?:[^ ]+ ){5}\[aicore@[0-9.]+ id="([0-9a-f.-]+)"')


class SyslogSink:
    """A Sink for the first of `transports` that works; one that fails is left for the next.

    A write that failed goes on where it stopped, if it is tried again with the same
    batches: what the server had not confirmed by then may arrive twice.

    `on_gap` is told, with the server and what is known, of a message that was refused so
    often that it is given up; else it would hold up all others for ever.

    Resources: one connection, from `open` to `aclose`; a `write` renews it when needed.

    Errors: TransientSinkError, in one line, names each server and what is wrong there.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        to_messages: Callable[[Batch], list[bytes]],
        *,
        name: str,
        on_gap: Callable[[str, GapReason, str], None],
    ) -> None:
        self.name = name
        self._transports = tuple(transports)
        self._to_messages = to_messages
        self._on_gap = on_gap
        self._turn = 0  # whose turn it is; it stays with a server that works
        self._connection: Connection | None = None
        self._last_server = ""
        self._unfinished: tuple[tuple[Batch, ...], Outbox] | None = None

    async def open(self, mark: bytes | None) -> bytes | None:
        await self._leave()
        await self._connected()
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        outbox = self._outbox_for(tuple(batches))
        while outbox:
            connection = await self._connected()
            outbox.begin()
            try:
                await connection.send(outbox)
            except TransientSinkError:
                await self._leave()
                server = self._transports[self._turn].server
                self._turn = (self._turn + 1) % len(self._transports)
                given_up = outbox.give_up_refused(now_s=anyio.current_time())
                for message, refusal in given_up:
                    self._tell_given_up(server, message, refusal)
                if not given_up:
                    raise
        self._unfinished = None
        return None

    async def aclose(self) -> None:
        await self._leave()

    def _outbox_for(self, batches: tuple[Batch, ...]) -> Outbox:
        if self._unfinished is None or self._unfinished[0] != batches:
            messages = [message for batch in batches for message in self._to_messages(batch)]
            self._unfinished = (batches, Outbox(messages))
        return self._unfinished[1]

    async def _connected(self) -> Connection:
        """The one there is, or a new one to the first server that has one for us."""
        if self._connection is not None:
            if await self._connection.is_open():
                return self._connection
            await self._leave()
        failures = []
        for _ in self._transports:
            transport = self._transports[self._turn]
            try:
                self._connection = await transport.connect()
            except TransientSinkError as error:
                failures.append(error)
                self._turn = (self._turn + 1) % len(self._transports)
            else:
                self._tell_server(transport.server)
                return self._connection
        if len(failures) == 1:
            raise failures[0]
        raise TransientSinkError("; ".join(str(failed) for failed in failures))

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    def _tell_server(self, server: str) -> None:
        if server != self._last_server:
            log.info("syslog_connected", sink=self.name, server=server)
        self._last_server = server

    def _tell_given_up(self, server: str, message: bytes, refusal: Rejection) -> None:
        found = _ID.match(message)
        which = f"record {found[1].decode()}" if found else "a record"
        detail = f"{which} of {len(message)} bytes given up: {refusal.reason}"
        self._on_gap(server, GapReason.SINK_REFUSED, detail)
