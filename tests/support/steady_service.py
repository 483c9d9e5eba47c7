"""A service whose one deployment says a numbered line every millisecond, rendered when asked.

It keeps nothing, so what grows while it is followed is the follower.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web

from support.virtual_time import START_NS
from tailer.clock import Clock
from tailer.timestamp import NS_PER_MS, NS_PER_S, format_ns, parse_ns

_PER_S = 1000
_RENDERED_S = 128  # more than any sweep looks back
_TOKEN = b'{"access_token":"t","token_type":"bearer","expires_in":43199}'
_RUNNING = b'{"id":"d1234567","status":"RUNNING"}'


@dataclass(slots=True)
class SteadyService:
    """Line n is of n milliseconds after START_NS; the last one of `until_s`."""

    clock: Clock
    until_s: int

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.on_response_prepare.append(self._date)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_get("/v2/lm/deployments/d1234567", self._get)
        app.router.add_get("/v2/lm/deployments/d1234567/logs", self._logs)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def credentials(self, url: str) -> dict[str, str]:
        return {
            "AICORE_AUTH_URL": f"{url}/oauth/token",
            "AICORE_BASE_URL": f"{url}/v2",
            "AICORE_CLIENT_ID": "c",
            "AICORE_CLIENT_SECRET": "s",
        }

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.clock.wall_ns() // NS_PER_S, usegmt=True)

    async def _token(self, _: web.Request) -> web.Response:
        return web.Response(body=_TOKEN)

    async def _get(self, _: web.Request) -> web.Response:
        return web.Response(body=_RUNNING)

    async def _logs(self, request: web.Request) -> web.Response:
        start_ns = parse_ns(request.query["start"]) - START_NS
        end_ns = min(parse_ns(request.query["end"]), self.clock.wall_ns() + 1) - START_NS
        first = max(0, -(-start_ns // NS_PER_MS))
        past = min(-(-end_ns // NS_PER_MS), self.until_s * _PER_S)
        past = min(past, first + int(request.query["$top"]))
        lines: list[bytes] = []
        while first < past:
            second, offset = divmod(first, _PER_S)
            lines += _rendered(second)[offset : offset + past - first]
            first = (second + 1) * _PER_S
        return web.Response(body=b'{"data":{"result":[' + b",".join(lines) + b"]}}")


@lru_cache(maxsize=_RENDERED_S)
def _rendered(second: int) -> list[bytes]:
    date = format_ns(START_NS + second * NS_PER_S)[:19]
    return [
        b'{"timestamp":"%s.%03dZ","pod":"p","container":"c","stream":"stdout","msg":"%d\\n"}'
        % (date.encode(), number, second * _PER_S + number)
        for number in range(_PER_S)
    ]
