"""What the status page answers, path by path."""

import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus

import anyio
import anyio.abc
import msgspec
import structlog

from tailer.clock import Clock
from tailer.health.health import Health
from tailer.health.liveness import not_ready, stalled
from tailer.status.document import build_document, clean
from tailer.status.http import Reply, Routes, Server
from tailer.status.sockets import accept

log = structlog.get_logger()

_RETRY_S = 1.0
_JSON = "application/json"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def serve_status(
    listening: Sequence[socket.socket], health: Health, clock: Clock, look: Callable[[], None]
) -> None:
    """Without end. `look` brings `health` up to date."""
    server = Server(_routes(health, clock=clock, look=look, started_ns=clock.wall_ns()))
    async with anyio.create_task_group() as tasks:
        for one in listening:
            tasks.start_soon(_accept_all, one, server, clock, tasks)


async def _accept_all(
    listening: socket.socket, server: Server, clock: Clock, tasks: anyio.abc.TaskGroup
) -> None:
    while True:
        try:
            connection = await accept(listening)
        except OSError as error:  # too many open files, say: no reason to end anything
            log.warning("status_accept_failed", error=error.strerror, retry_in_s=_RETRY_S)
            await clock.sleep(_RETRY_S)
        else:
            tasks.start_soon(server.serve, connection)


def _routes(health: Health, *, clock: Clock, look: Callable[[], None], started_ns: int) -> Routes:
    def healthz() -> Reply:
        look()
        return _verdict(stalled(health, clock.monotonic_s()))

    def readyz() -> Reply:
        look()
        return _verdict(not_ready(health))

    def status() -> Reply:
        look()
        document = build_document(
            health, now_s=clock.monotonic_s(), wall_ns=clock.wall_ns(), started_ns=started_ns
        )
        return Reply(HTTPStatus.OK, msgspec.json.encode(document) + b"\n", _JSON)

    def metrics() -> Reply:
        from tailer.status.metrics import render_metrics  # noqa: PLC0415 - a slow import

        look()
        text = render_metrics(health, now_s=clock.monotonic_s(), started_ns=started_ns)
        return Reply(HTTPStatus.OK, text, _PROMETHEUS)

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/status": status}


def _verdict(reasons: Sequence[str]) -> Reply:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    said = {"ok": not reasons, "reasons": [clean(reason) for reason in reasons]}
    return Reply(status, msgspec.json.encode(said) + b"\n", _JSON)
