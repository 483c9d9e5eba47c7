"""A scripted service on loopback that records its requests."""

import json
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TypeAlias

import anyio
from aiohttp import web

from support.virtual_time import START_NS, VirtualClock
from tailer.aicore.client import AiCoreClient
from tailer.aicore.connect import ClientSettings, connect
from tailer.aicore.credentials import Credentials
from tailer.aicore.secret import Secret
from tailer.errors import TransientApiError
from tailer.model import Kind, Order, Page, Target

CLIENT_SECRET = "hunter2$="
TARGET = Target("team-a", Kind.DEPLOYMENT, "d1a2")

Reply: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class RecordedRequest:
    method: str
    raw_path: str
    headers: dict[str, str]
    body: str
    at_s: float


def respond(body: object, status: int = 200, **headers: str) -> Reply:
    """A reply of JSON, or of a text or bytes as they are. `Retry_After=…` is a header."""
    payload = body if isinstance(body, bytes) else None
    if payload is None:
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=payload, status=status, headers=named)

    return reply


def lines(*messages: str) -> Reply:
    return respond({"data": {"result": [{"msg": message} for message in messages]}})


@dataclass
class FakeService:
    """Replies come from `replies` and `token_replies`; then every reply is a success."""

    port: int = 0
    replies: deque[Reply] = field(default_factory=deque)
    token_replies: deque[Reply] = field(default_factory=deque)
    asked: list[RecordedRequest] = field(default_factory=list)
    token_requests: list[RecordedRequest] = field(default_factory=list)
    token_life_s: float = 43199
    good_tokens: set[str] | None = None  # None: every token is
    usual_reply: Reply = field(default_factory=lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def credentials(
        self, *, api_url: str | None = None, token_url: str | None = None
    ) -> Credentials:
        return Credentials(
            client_id="sb-x!b1|aicore!b2",
            proof=Secret(CLIENT_SECRET),
            token_url=token_url or f"{self.url}/oauth/token",
            api_url=api_url or f"{self.url}/v2",
            resource_group=None,
            source="the test",
        )

    async def grant(self, request: web.Request) -> web.StreamResponse:
        self.token_requests.append(await _asked(request))
        if self.token_replies:
            return await self.token_replies.popleft()(request)
        token = f"token-{len(self.token_requests)}"
        return web.json_response({"access_token": token, "expires_in": self.token_life_s})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await _asked(request))
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if self.good_tokens is not None and token not in self.good_tokens:
            return web.Response(text="Jwt is expired", status=401)
        reply = self.replies.popleft() if self.replies else self.usual_reply
        response = await reply(request)
        if not response.prepared:
            seconds = START_NS // 10**9 + int(anyio.current_time())
            response.headers.setdefault("Date", formatdate(seconds, usegmt=True))
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeService"]:
        app = web.Application()
        app.router.add_post("/oauth/token", self.grant)
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            await runner.cleanup()


async def _asked(request: web.Request) -> RecordedRequest:
    return RecordedRequest(
        request.method,
        request.raw_path,
        dict(request.headers),
        await request.text(),
        anyio.current_time(),
    )


@dataclass
class Troubles:
    """What the client said about failures it was going to retry."""

    errors: list[TransientApiError] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def __call__(self, error: TransientApiError, wait_s: float) -> None:
        self.errors.append(error)
        self.waits_s.append(wait_s)


@dataclass
class Caller:
    """A client with its troubles at hand."""

    client: AiCoreClient
    troubles: Troubles = field(default_factory=Troubles)

    async def logs(self, target: Target = TARGET, *, top: int = 5000) -> Page:
        return await self.client.logs(
            target,
            start_ns=START_NS,
            end_ns=START_NS + 1,
            order=Order.ASC,
            top=top,
            on_retry=self.troubles,
        )

    async def messages(self) -> Sequence[object]:
        return [entry.msg for entry in (await self.logs()).entries]


@asynccontextmanager
async def calling(
    credentials: Credentials, *, settings: ClientSettings | None = None
) -> AsyncIterator[Caller]:
    async with connect(
        credentials, clock=VirtualClock(), rng=random.Random(7), settings=settings
    ) as client:
        yield Caller(client)
