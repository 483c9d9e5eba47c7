"""HTTP server of the status page: /healthz, /readyz, /metrics and /status, on aiohttp.web.

A connection carries one GET or HEAD request without a body. The request must be complete
REQUEST_TIMEOUT_S after the connection was accepted, and the connection is aborted after
CONNECTION_TIMEOUT_S. A connection beyond MAX_CONNECTIONS closes the oldest one, so that idle
clients cannot block a probe.
"""

import asyncio  # noqa: TID251 - aiohttp's transports, timers and accept errors are asyncio's
import errno
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tailer.clock import Clock
from tailer.errors import ConfigError
from tailer.health.health import Health
from tailer.health.liveness import not_ready, stalled
from tailer.status.client import UnixPath, parse_address
from tailer.status.document import build_document, redact
from tailer.status.metrics import render_metrics

log = structlog.get_logger()

REQUEST_TIMEOUT_S = 5.0
CONNECTION_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 32
_LINGER_S = 1.0  # a body is read and discarded that long: closing earlier resets the answer
_SHUTDOWN_S = 1.0
_ACCEPT_RETRY_S = 1.0  # asyncio.constants.ACCEPT_RETRY_DELAY
_PROBE_S = 1.0
_SOCKET_MODE = 0o660
_METHODS = ("GET", "HEAD")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "tailer"}

_REASONS = {
    errno.EADDRINUSE: "address already in use",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "permission denied",
}

Route = Callable[[], web.Response]


@asynccontextmanager
async def status_page(
    listen: str, health: Health, clock: Clock, look: Callable[[], None]
) -> AsyncIterator[None]:
    """The status page at `listen`, for as long as the block lasts; none if `listen` is empty.

    `look` updates `health` before each answer.

    Raises:
        ConfigError: The address is in use, does not exist or is not permitted.
    """
    routes = _routes(health, clock=clock, look=look, started_ns=clock.wall_ns())
    if not listen:
        yield
        return
    async with serving(listen, routes):
        yield


@asynccontextmanager
async def serving(listen: str, routes: Mapping[str, Route]) -> AsyncIterator[list[Any]]:
    """Answer each path of `routes` at `listen`; yields the addresses of the sockets."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        route = routes.get(request.path)
        if route is None:
            return _error(HTTPStatus.NOT_FOUND, f"the paths are {' '.join(routes)}")
        if request.method not in _METHODS:
            allowed = ", ".join(_METHODS)
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"use {allowed}", Allow=allowed)
        if request.body_exists:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "send no request body")
        return route()

    server = _Server(answer)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    address = parse_address(listen)
    with ExitStack() as resources:
        try:
            await runner.setup()
            try:
                if isinstance(address, UnixPath):
                    bound = resources.enter_context(_unix_socket(address.path))
                    site: web.BaseSite = web.SockSite(runner, bound, backlog=MAX_CONNECTIONS)
                else:
                    host, port = address.host, address.port
                    site = web.TCPSite(runner, host, port, backlog=MAX_CONNECTIONS)
                await site.start()
            except OSError as error:
                # From Python 3.13 on, asyncio drops the number of this error, and of no other.
                number = error.errno or errno.EADDRNOTAVAIL
                reason = _REASONS.get(number) or error.strerror or str(error)
                raise ConfigError(
                    f"[status] listen: cannot listen on {address}: {reason}",
                    hint="stop the process that uses it, or set another address; "
                    '"" turns the status page off',
                ) from error
            resources.enter_context(server.accept_failures_logged(runner.addresses))
            yield runner.addresses
        finally:
            server.abort_connections()
            with anyio.move_on_after(2 * _SHUTDOWN_S, shield=True):
                await runner.cleanup()


class _Server(web.Server):
    """aiohttp's server with a limit on the number and on the age of connections."""

    def __init__(self, answer: Callable[[web.BaseRequest], Any]) -> None:
        logger = logging.Logger("tailer.status", logging.ERROR)  # noqa: LOG001 - private to this server
        logger.addHandler(_ErrorLog())
        super().__init__(
            answer,
            keepalive_timeout=REQUEST_TIMEOUT_S,
            lingering_time=_LINGER_S,
            access_log=None,
            logger=logger,
        )
        self._open: dict[object, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}  # oldest first
        self._accept_fails = False

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._accept_fails = False
        while len(self._open) >= MAX_CONNECTIONS:
            self._abort(next(iter(self._open)))
        loop = asyncio.get_running_loop()
        timer = loop.call_later(CONNECTION_TIMEOUT_S, self._abort, handler)
        self._open[handler] = transport, timer

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        if handler in self._open:
            self._open.pop(handler)[1].cancel()

    def abort_connections(self) -> None:
        for handler in [*self._open]:
            self._abort(handler)

    def _abort(self, handler: object) -> None:
        transport, timer = self._open.pop(handler)
        timer.cancel()
        transport.abort()

    @contextmanager
    def accept_failures_logged(self, addresses: Sequence[Any]) -> Iterator[None]:
        """Log one event when accepting fails (EMFILE), until a connection is accepted again.

        asyncio retries by itself. It reports the failure to the handler of the event loop, once
        for each place in the backlog.
        """
        loop = asyncio.get_running_loop()
        previous = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error, failed = context.get("exception"), context.get("socket")
            if isinstance(error, OSError) and failed and failed.getsockname() in addresses:
                if not self._accept_fails:
                    retry_in_s = _ACCEPT_RETRY_S
                    log.warning("status_accept_failed", error=error.strerror, retry_in_s=retry_in_s)
                self._accept_fails = True
            elif previous is not None:
                previous(loop, context)
            else:
                loop.default_exception_handler(context)

        loop.set_exception_handler(handle)
        try:
            yield
        finally:
            loop.set_exception_handler(previous)


class _ErrorLog(logging.Handler):
    """Turn aiohttp's error log into events. A malformed request is the client's mistake."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            log.error("status_request_failed", error=repr(error or record.getMessage()))


def _routes(
    health: Health, *, clock: Clock, look: Callable[[], None], started_ns: int
) -> dict[str, Route]:
    def healthz() -> web.Response:
        look()
        return _verdict(stalled(health, clock.monotonic_s()))

    def readyz() -> web.Response:
        look()
        return _verdict(not_ready(health))

    def status() -> web.Response:
        look()
        document = build_document(
            health, now_s=clock.monotonic_s(), wall_ns=clock.wall_ns(), started_ns=started_ns
        )
        return reply(HTTPStatus.OK, msgspec.json.encode(document) + b"\n", _JSON)

    def metrics() -> web.Response:
        look()
        text = render_metrics(health, now_s=clock.monotonic_s(), started_ns=started_ns)
        return reply(HTTPStatus.OK, text, _PROMETHEUS)

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/status": status}


def _verdict(reasons: Sequence[str]) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    verdict = {"ok": not reasons, "reasons": [redact(reason) for reason in reasons]}
    return reply(status, msgspec.json.encode(verdict) + b"\n", _JSON)


def _error(status: HTTPStatus, remedy: str, **headers: str) -> web.Response:
    text = f"{status.value} {status.phrase}: {remedy}\n"
    return reply(status, text.encode(), _TEXT, **headers)


def reply(status: HTTPStatus, body: bytes, content_type: str, **headers: str) -> web.Response:
    """A response that no cache keeps, and after which the connection is closed."""
    headers = {**_HEADERS, "Content-Type": content_type, **headers}
    response = web.Response(status=status, body=body, headers=headers)
    response.force_close()
    return response


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """A socket bound beside `path` and renamed, so that it never has a wider mode there."""
    beside = path.with_name(f"{path.name}.new")
    with socket.socket(socket.AF_UNIX) as made:
        _check_replaceable(path)
        beside.unlink(missing_ok=True)
        made.bind(os.fspath(beside))
        beside.chmod(_SOCKET_MODE)
        ours = beside.stat()
        beside.rename(path)
        try:
            yield made
        finally:
            with suppress(OSError):
                if os.path.samestat(path.stat(), ours):  # another process may have replaced it
                    path.unlink()


def _check_replaceable(path: Path) -> None:
    """Accept a free path, or a stale socket on which no process listens."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return
        except TimeoutError:
            pass  # its process is alive and busy
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
