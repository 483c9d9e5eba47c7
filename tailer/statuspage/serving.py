"""Opens the address of the status page, and answers there."""

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog
from anyio.abc import SocketListener

from tailer.clock import Clock
from tailer.errors import ConfigError
from tailer.health import Health
from tailer.liveness import missing, stalled
from tailer.statuspage.address import HostPort, UnixPath, parse_address
from tailer.statuspage.document import build_document, clean
from tailer.statuspage.http import Reply, Routes, Server

log = structlog.get_logger()

_SOCKET_MODE = 0o660
_RETRY_S = 1.0
_LISTENERS_PATIENCE_S = 1.0
_JSON = "application/json"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def open_status_page(listen: str) -> AsyncIterator[Sequence[SocketListener]]:
    """Listens at `listen` for as long as the block lasts; nowhere if that is empty.

    Raises:
        ConfigError: Somebody serves there already, or nobody may.
    """
    if not listen:
        yield ()
        return
    address = parse_address(listen)
    if isinstance(address, UnixPath):
        async with _unix_listening(address) as unix_listener:
            yield (unix_listener,)
        return
    with _translated(address):
        multi = await anyio.create_tcp_listener(local_host=address.host, local_port=address.port)
    async with multi:
        yield [one for one in multi.listeners if isinstance(one, SocketListener)]


async def serve_status(
    listeners: Sequence[SocketListener], health: Health, clock: Clock, look: Callable[[], None]
) -> None:
    """Without end. `look` brings `health` up to date."""
    server = Server(_routes(health, clock=clock, look=look, started_ns=clock.wall_ns()))
    async with anyio.create_task_group() as tasks:
        for listener in listeners:
            tasks.start_soon(_accept, listener, server, clock, tasks)


async def _accept(
    listener: SocketListener, server: Server, clock: Clock, tasks: anyio.abc.TaskGroup
) -> None:
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:  # too many open files, say: no reason to end anything
            log.warning("status_page_failed", why=error.strerror, retry_in_s=_RETRY_S)
            await clock.sleep(_RETRY_S)
        else:
            tasks.start_soon(server.serve, stream)


def _routes(health: Health, *, clock: Clock, look: Callable[[], None], started_ns: int) -> Routes:
    def healthz() -> Reply:
        look()
        return _verdict(stalled(health, clock.monotonic_s()))

    def readyz() -> Reply:
        look()
        return _verdict(missing(health))

    def status() -> Reply:
        look()
        document = build_document(
            health, now_s=clock.monotonic_s(), wall_ns=clock.wall_ns(), started_ns=started_ns
        )
        return Reply(HTTPStatus.OK, msgspec.json.encode(document) + b"\n", _JSON)

    def metrics() -> Reply:
        from tailer.statuspage.metrics import render_metrics  # noqa: PLC0415 - a slow import

        look()
        text = render_metrics(health, now_s=clock.monotonic_s(), started_ns=started_ns)
        return Reply(HTTPStatus.OK, text, _PROMETHEUS)

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/status": status}


def _verdict(reasons: Sequence[str]) -> Reply:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    said = {"ok": not reasons, "reasons": [clean(reason) for reason in reasons]}
    return Reply(status, msgspec.json.encode(said) + b"\n", _JSON)


@asynccontextmanager
async def _unix_listening(address: UnixPath) -> AsyncIterator[SocketListener]:
    """Made beside its place and moved there: nobody ever finds it with other rights."""
    beside = address.path.with_name(f"{address.path.name}.new")
    with _translated(address):
        _refuse_what_is_not_ours(address.path)
        listener = await anyio.create_unix_listener(beside, mode=_SOCKET_MODE)
    async with listener:
        with _translated(address):
            made = _moved(beside, address.path)
        try:
            yield listener
        finally:
            _remove(address.path, made)


def _moved(beside: Path, path: Path) -> os.stat_result:
    beside.rename(path)
    return path.stat()


def _remove(path: Path, made: os.stat_result) -> None:
    """Unless it is another one's by now."""
    with suppress(OSError):
        if os.path.samestat(path.stat(), made):
            path.unlink()


def _refuse_what_is_not_ours(path: Path) -> None:
    """A socket that nobody answers at was left behind, and may be replaced. Nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, which is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LISTENERS_PATIENCE_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return
        except TimeoutError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


@contextmanager
def _translated(address: HostPort | UnixPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = _WORDS.get(error.errno or 0) or error.strerror or str(error)
        raise ConfigError(
            f"[status] listen: nothing can be served at {address}: {why}",
            hint='end what has it, or give this service another one ("" for none)',
        ) from error


_WORDS = {
    errno.EADDRINUSE: "somebody serves there already",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "tailer may not",
}
