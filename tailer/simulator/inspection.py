"""What only a simulator can tell: the truth, and how hard it made it. No authorization."""

from typing import Any

import msgspec
from aiohttp import web

from tailer.simulator.population import Population
from tailer.simulator.server import Server
from tailer.timestamp import NS_PER_S, parse_ns


class Inspection:
    def __init__(self, population: Population, server: Server) -> None:
        self._population = population
        self._server = server

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/simulator/truth", self._truth)
        app.router.add_get("/simulator/stats", self._stats)

    def stats(self) -> dict[str, Any]:
        """Lines are those shown up to now; a late line came after its own time."""
        now_ns = self._population.now_ns()
        shown = [line for it in self._population.everyone() for line in it.shown(now_ns)]
        lateness_ns = [line.visible_ns - line.at_ns for line in shown]
        return {
            "requests": dict(self._server.requests),
            "faults": dict(self._server.faults),
            "lines": len(shown),
            "late_lines": sum(it > 0 for it in lateness_ns),
            "twins": sum(line.is_twin for line in shown),
            "hidden_lines": sum(line.hidden_until_ns > line.hidden_from_ns for line in shown),
            "largest_lateness_s": max(lateness_ns, default=0) / NS_PER_S,
        }

    async def _stats(self, request: web.Request) -> web.Response:
        return _json(self.stats())

    async def _truth(self, request: web.Request) -> web.Response:
        """`?target=deployment/ID`, and optionally `resource_group` and `until`.

        `until` is the first timestamp no longer asked for.
        """
        name, group = request.query.get("target"), request.query.get("resource_group")
        now_ns = self._population.now_ns()
        try:
            until_ns = parse_ns(request.query["until"]) if "until" in request.query else now_ns + 1
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"until: {error}") from error
        for live in self._population.everyone():
            if live.target.name == name and group in {None, live.target.resource_group}:
                shown = live.shown(now_ns)
                return _json([msgspec.Raw(line.json) for line in shown if line.at_ns < until_ns])
        raise web.HTTPNotFound(text=f"no such target: {name}")


def _json(content: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
