"""The syslog sink: one server at a time, fail-over, and messages that are still unconfirmed."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import structlog

from tailer.errors import TransientSinkError
from tailer.model import Batch, GapReason
from tailer.sinks.syslog.transport import Connection, Rejection, Transport, UnconfirmedMessages

log = structlog.get_logger()

# Our own structured data comes first and starts with the id; text from a line comes later.
_ID: Final = re.compile(rb'<[0-9]+>1 (?:[^ ]+ ){5}\[aicore@[0-9.]+ id="([0-9a-f.-]+)"')


class SyslogSink:
    """A Sink for the first of `transports` that works; after a failure the next one is tried.

    A write that failed continues where it stopped, if it is retried with the same batches.
    Messages that the server had not confirmed by then may arrive twice.

    A message that was rejected too often is dropped, because it would block all others;
    `on_gap` gets the server and the reason.

    Resources: one connection, from `open` to `aclose`; `write` reconnects if needed.

    Errors: TransientSinkError, in one line, names each server and its failure.
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
        self._current = 0  # index of the transport in use; a server that works is kept
        self._connection: Connection | None = None
        self._last_server = ""
        self._unfinished: tuple[tuple[Batch, ...], UnconfirmedMessages] | None = None

    async def open(self, mark: bytes | None) -> bytes | None:
        await self.aclose()
        await self._open_connection()
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        if self._unfinished is None or self._unfinished[0] != tuple(batches):
            messages = [message for batch in batches for message in self._to_messages(batch)]
            self._unfinished = (tuple(batches), UnconfirmedMessages(messages))
        unconfirmed = self._unfinished[1]
        while unconfirmed:
            connection = await self._open_connection()
            unconfirmed.start_attempt()
            try:
                await connection.send(unconfirmed)
            except TransientSinkError:
                await self.aclose()
                server = self._transports[self._current].server
                self._select_next()
                dropped = unconfirmed.drop_rejected(now_s=anyio.current_time())
                for message, rejection in dropped:
                    self._report_dropped(server, message, rejection)
                if not dropped:
                    raise
        self._unfinished = None
        return None

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _open_connection(self) -> Connection:
        """The present connection, or a new one to the first server that accepts it."""
        if self._connection is not None:
            if await self._connection.is_open():
                return self._connection
            await self.aclose()
        failures = []
        for _ in self._transports:
            transport = self._transports[self._current]
            try:
                self._connection = await transport.connect()
            except TransientSinkError as error:
                failures.append(error)
                self._select_next()
            else:
                if transport.server != self._last_server:
                    log.info("syslog_connected", sink=self.name, server=transport.server)
                self._last_server = transport.server
                return self._connection
        if len(failures) == 1:
            raise failures[0]
        raise TransientSinkError("; ".join(str(failed) for failed in failures))

    def _select_next(self) -> None:
        self._current = (self._current + 1) % len(self._transports)

    def _report_dropped(self, server: str, message: bytes, rejection: Rejection) -> None:
        found = _ID.match(message)
        record = f"record {found[1].decode()}" if found else "a record"
        detail = f"dropped {record} of {len(message)} bytes: {rejection.reason}"
        self._on_gap(server, GapReason.SINK_REFUSED, detail)
