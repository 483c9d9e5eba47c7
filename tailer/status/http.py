"""HTTP as far as a status page needs it: one GET or HEAD a connection, small and soon over.

Not aiohttp's server: that waits without end for a client which sends half a question or
reads no answer. Laws of this file: a connection lasts at most DEADLINE_S, whatever its
client does; of more than MAX_CONNECTIONS the oldest makes room; what is kept of a question
is at most MAX_QUESTION_BYTES.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio

from tailer.status.sockets import Connection

DEADLINE_S = 10.0
MAX_CONNECTIONS = 32
MAX_QUESTION_BYTES = 8192
_LINGER_S = 1.0
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Routes = Mapping[str, Callable[[], Reply]]
"""What to answer, by path. Whatever follows a `?` is not looked at."""


class Server:
    """Answers each connection that it is given. One for all listeners."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._open: dict[anyio.CancelScope, None] = {}  # oldest first

    async def serve(self, connection: Connection) -> None:
        """Errors: none; a client that goes away, or is too slow, is simply left."""
        if len(self._open) >= MAX_CONNECTIONS:
            next(iter(self._open)).cancel()
        scope = anyio.CancelScope(deadline=anyio.current_time() + DEADLINE_S)
        self._open[scope] = None
        try:
            with scope, suppress(OSError):
                await self._answer(connection)
        finally:
            del self._open[scope]
            connection.close()

    async def _answer(self, connection: Connection) -> None:
        question = b""
        while not _END.search(question):
            if len(question) > MAX_QUESTION_BYTES:
                await self._send(connection, _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
                return
            received = await connection.receive(MAX_QUESTION_BYTES)
            if not received:
                return
            question += received
        line = _REQUEST_LINE.match(question)
        if line is None:
            await self._send(connection, _plain(HTTPStatus.BAD_REQUEST))
            return
        method, path = line[1].decode("ascii"), line[2].decode("ascii").partition("?")[0]
        await self._send(connection, self._reply(method, path), with_body=method != "HEAD")

    def _reply(self, method: str, path: str) -> Reply:
        route = self._routes.get(path)
        if route is None:
            available = " ".join(self._routes)
            return _plain(HTTPStatus.NOT_FOUND, f"there is {available}")
        if method not in _METHODS:
            allowed = ", ".join(_METHODS)
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, f"only {allowed}", Allow=allowed)
        return route()

    async def _send(self, connection: Connection, reply: Reply, *, with_body: bool = True) -> None:
        headers = {
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
            **reply.headers,
        }
        lines = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        await connection.send(head + (reply.body if with_body else b""))
        connection.end_sending()
        with anyio.move_on_after(_LINGER_S):  # what it still sends would take the answer back
            while await connection.receive(MAX_QUESTION_BYTES):
                pass


def _plain(status: HTTPStatus, words: str = "", **headers: str) -> Reply:
    text = f"{status.value} {status.phrase}" + (f": {words}" if words else "") + "\n"
    return Reply(status, text.encode(), headers=headers)
