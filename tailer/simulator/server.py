"""The simulated service over HTTP: routes, gzip, Date header and transport faults."""

import gzip
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import TypeAlias

import msgspec
from aiohttp import web

from tailer.clock import Clock
from tailer.model import Kind
from tailer.simulator.api import Api
from tailer.simulator.faults import Fault, FaultQueue, choose_fault, fault_response
from tailer.simulator.requests import Request
from tailer.simulator.responses import RefusedError, Response
from tailer.simulator.settings import RequestKind, SimulatorSettings
from tailer.simulator.targets import TargetRegistry
from tailer.timestamp import NS_PER_S

_Answer: TypeAlias = Callable[[Request], Response]

_MIN_GZIP_BYTES = 256  # gzip makes a shorter body longer
_GZIP_LEVEL = 1  # the fastest: compressing a page of 5000 lines blocks the event loop
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: RST instead of FIN


@dataclass(frozen=True, slots=True)
class Server:
    """Counts requests and faults by name."""

    settings: SimulatorSettings
    clock: Clock
    targets: TargetRegistry
    api: Api
    planned_faults: FaultQueue
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def application(self) -> web.Application:
        api, app = self.api, web.Application()
        app.on_response_prepare.append(self._set_date)

        def add(method: str, path: str, kind: RequestKind, answer: _Answer) -> None:
            app.router.add_route(method, path, partial(self._handle, kind, answer))

        add("POST", "/oauth/token", "token", api.token)
        add("GET", "/v2/admin/resourceGroups", "groups", api.resource_groups)
        add("GET", "/v2/lm/meta", "meta", api.meta)
        add("POST", "/v2/lm/executions", "create", api.create)
        for kind in Kind:
            path = f"/v2/lm/{kind}s"
            add("GET", path, "list", partial(api.list_workloads, kind=kind))
            count = path + r"/{count:\$count|%24count}"
            add("GET", count, "count", partial(api.count_workloads, kind=kind))
            add("GET", path + "/{id}", "get", partial(api.get_workload, kind=kind))
            add("GET", path + "/{id}/logs", "logs", partial(api.logs, kind=kind))
        return app

    async def _handle(
        self, kind: RequestKind, answer: _Answer, received: web.Request
    ) -> web.StreamResponse:
        number = self.requests.total()
        self.requests[kind] += 1
        request = await _parse(received)
        settings = self.settings
        fault = self.planned_faults.take(kind) or choose_fault(
            settings.faults,
            share=settings.fault_share,
            seed=settings.seed,
            kind=kind,
            number=number,
        )
        if fault is not None:
            self.faults[fault] += 1
        if fault is Fault.RESET:
            return _reset(received)
        if fault is Fault.SLOW:
            await self.clock.sleep(settings.faults.slow_s)
        if fault is Fault.EXPIRED_TOKEN:
            self.api.revoke_token(request)
        retry_after_s = settings.faults.retry_after_s
        response = fault_response(fault, kind, number=number, retry_after_s=retry_after_s)
        if response is None:
            try:
                response = answer(request)
            except RefusedError as refusal:
                response = refusal.response
        return await self._send(received, response, fault)

    async def _send(
        self, received: web.Request, response: Response, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {**response.headers, "Content-Type": response.content_type}
        body = response.body
        accepts_gzip = "gzip" in received.headers.get("Accept-Encoding", "")
        if self.settings.gzip and accepts_gzip and len(body) >= _MIN_GZIP_BYTES:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        if fault is Fault.CUT_CONTENT:
            body = body[: len(body) // 2]
        if fault is Fault.CUT_BODY:
            return await _send_half(received, response.status, headers, body)
        return web.Response(status=response.status, headers=headers, body=body)

    async def _set_date(self, received: web.Request, response: web.StreamResponse) -> None:
        """Send the time of the simulated service, which may differ from the machine's."""
        response.headers["Date"] = formatdate(self.targets.now_ns() // NS_PER_S, usegmt=True)


async def _parse(received: web.Request) -> Request:
    transport = received.transport
    return Request(
        path=received.path,
        id=received.match_info.get("id", ""),
        query=received.query,
        headers=received.headers,
        body=await _text_fields(received),
        has_certificate=bool(transport and transport.get_extra_info("peercert")),
    )


async def _text_fields(received: web.Request) -> dict[str, str]:
    """The text fields of a form or of a JSON object; empty for any other body."""
    fields: Mapping[str, object] = {}
    if received.content_type == "application/json":
        with suppress(ValueError):  # not JSON, or not an object
            fields = msgspec.convert(await received.json(), dict[str, object])
    elif received.method == "POST":
        fields = await received.post()
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _reset(received: web.Request) -> web.StreamResponse:
    """Reset the connection. aiohttp requires a response, which is never sent."""
    transport = received.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)


async def _send_half(
    received: web.Request, status: int, headers: dict[str, str], body: bytes
) -> web.StreamResponse:
    """Announce the whole body, send half of it, close the connection."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(received)
    await response.write(body[: len(body) // 2])
    if received.transport is not None:
        received.transport.close()
    return response
