"""The service on HTTP: reads requests, adds what belongs to the transport, plays its faults."""

import gzip
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import TypeAlias

import msgspec
from aiohttp import web

from tailer.clock import Clock
from tailer.model import Kind
from tailer.simulator.api import Service
from tailer.simulator.faults import Fault, OrderedFaults, answer_instead, choose_fault
from tailer.simulator.requests import Request
from tailer.simulator.responses import RefusedError, Response
from tailer.simulator.settings import RequestKind, SimulatorSettings
from tailer.simulator.targets import Population
from tailer.timestamp import NS_PER_S

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_WORTH_COMPRESSING = 256  # bytes; below, gzip makes it longer
_QUICKLY = 1  # gzip level: a page of 5000 lines must not hold up the event loop
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: RST instead of FIN


class Server:
    """Counts what it is asked and which faults it plays, by name."""

    def __init__(
        self,
        settings: SimulatorSettings,
        clock: Clock,
        population: Population,
        service: Service,
        ordered: OrderedFaults,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._population = population
        self._service = service
        self._ordered = ordered
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def application(self) -> web.Application:
        service = self._service
        app = web.Application()
        app.on_response_prepare.append(self._date)
        app.router.add_post("/oauth/token", self._plain("token", service.token))
        app.router.add_get(
            "/v2/admin/resourceGroups", self._plain("groups", service.resource_groups)
        )
        app.router.add_get("/v2/lm/meta", self._plain("meta", service.meta))
        app.router.add_post("/v2/lm/executions", self._plain("create", service.create))
        for kind in Kind:
            path = f"/v2/lm/{kind}s"
            app.router.add_get(path, self._of_kind(kind))
            app.router.add_get(path + "/{id}", self._of_one(kind))
            app.router.add_get(path + "/{id}/logs", self._logs(kind))
        return app

    def _plain(self, name: RequestKind, answer: Callable[[Request], Response]) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, name, answer)

        return handle

    def _of_kind(self, kind: Kind) -> _Handler:
        return self._plain("list", lambda question: self._service.workloads(question, kind))

    def _of_one(self, kind: Kind) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            name = request.match_info["id"]
            if name == "$count":  # also where it came as %24count
                return await self._handle(
                    request, "count", lambda it: self._service.count(it, kind)
                )
            return await self._handle(
                request, "get", lambda it: self._service.workload(it, kind, name)
            )

        return handle

    def _logs(self, kind: Kind) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            name = request.match_info["id"]
            return await self._handle(
                request, "logs", lambda it: self._service.logs(it, kind, name)
            )

        return handle

    async def _handle(
        self, request: web.Request, kind: RequestKind, answer: Callable[[Request], Response]
    ) -> web.StreamResponse:
        number = self.requests.total()
        self.requests[kind] += 1
        question = await _question(request)
        fault = self._fault(kind, number)
        if fault is not None:
            self.faults[fault] += 1
        if fault is Fault.RESET:
            return _reset(request)
        if fault is Fault.SLOW:
            await self._clock.sleep(self._settings.faults.slow_s)
        if fault is Fault.EXPIRED_TOKEN:
            self._service.expire(question)
        given = answer_instead(
            fault, kind, number=number, retry_after_s=self._settings.faults.retry_after_s
        )
        if given is None:
            try:
                given = answer(question)
            except RefusedError as refusal:
                given = refusal.answer
        return await self._send(request, given, fault)

    def _fault(self, kind: RequestKind, number: int) -> Fault | None:
        settings = self._settings
        return self._ordered.take(kind) or choose_fault(
            settings.faults,
            share=settings.fault_share,
            seed=settings.seed,
            kind=kind,
            number=number,
        )

    async def _send(
        self, request: web.Request, answer: Response, fault: Fault | None
    ) -> web.StreamResponse:
        headers = {**answer.headers, "Content-Type": answer.content_type}
        body = answer.body
        accepts_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if self._settings.gzip and accepts_gzip and len(body) >= _WORTH_COMPRESSING:
            body = gzip.compress(body, _QUICKLY, mtime=0)
            headers["Content-Encoding"] = "gzip"
        if fault is Fault.CUT_CONTENT:
            body = body[: len(body) // 2]
        if fault is Fault.CUT_BODY:
            return await _cut(request, answer.status, headers, body)
        return web.Response(status=answer.status, headers=headers, body=body)

    async def _date(self, request: web.Request, response: web.StreamResponse) -> None:
        """The service's own time, which need not be the machine's."""
        response.headers["Date"] = formatdate(self._population.now_ns() // NS_PER_S, usegmt=True)


async def _question(request: web.Request) -> Request:
    transport = request.transport
    return Request(
        path=request.path,
        query=request.query,
        headers=request.headers,
        body=await _fields(request),
        has_certificate=bool(transport and transport.get_extra_info("peercert")),
    )


async def _fields(request: web.Request) -> dict[str, str]:
    """The texts of a form or of a JSON object; what is neither has none."""
    fields: Mapping[str, object] = {}
    if request.content_type == "application/json":
        with suppress(ValueError):  # of any kind of nonsense
            fields = msgspec.convert(await request.json(), dict[str, object])
    elif request.method == "POST":
        fields = await request.post()
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _reset(request: web.Request) -> web.StreamResponse:
    """Break the connection; the response only satisfies aiohttp and goes nowhere."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)


async def _cut(
    request: web.Request, status: int, headers: dict[str, str], body: bytes
) -> web.StreamResponse:
    """Promise all of `body`, send half of it, hang up."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
