"""The public face; /simulator endpoints.

What only a simulator can tell: the truth, and how hard it made it. No authorization.

A stand-in for SAP AI Core: looks like the service, and knows what it has shown.
"""

import ssl
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
from aiohttp import web
from msgspec import UNSET

from tailer.clock import Clock
from tailer.model import Status, Target, Text
from tailer.simulator.api import Service
from tailer.simulator.faults import Fault, OrderedFaults
from tailer.simulator.server import Server
from tailer.simulator.settings import RequestKind, SimulatorSettings, TargetSettings
from tailer.simulator.targets import Population
from tailer.simulator.tokens import Tokens
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


_FAREWELL_S = 1.0  # for open requests when the server closes

_ANY_CLIENT_ID = "sb-simulator!b1|aicore!b1"
_ANY_CLIENT_SECRET = "simulated"  # noqa: S105 - opens nothing but a simulator


class Simulator:
    """Opens nothing until `serving`. Everything it says depends on the seed and the clock."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._population = Population(settings, clock)
        tokens = Tokens(settings.token, seed=settings.seed)
        self._ordered = OrderedFaults()
        service = Service(self._population, tokens)
        self._server = Server(settings, clock, self._population, service, self._ordered)
        self._inspection = Inspection(self._population, self._server)

    @asynccontextmanager
    async def serving(
        self, host: str = "127.0.0.1", port: int = 0, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Listen, and give the base URL. Port 0 takes any free one.

        Resources: the socket and its connections live as long as the block.

        Raises:
            OSError: The address cannot be had.
        """
        app = self._server.application()
        self._inspection.add_routes(app)
        self._population.begin()
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=_FAREWELL_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
            bound_port = runner.addresses[0][1]
            scheme = "http" if ssl_context is None else "https"
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound_port}"
        finally:
            with anyio.move_on_after(2 * _FAREWELL_S, shield=True):
                await runner.cleanup()

    def credentials(self, url: str) -> dict[str, str]:
        """The environment that makes a client talk to the simulator at `url`."""
        token = self._settings.token
        groups = self._population.resource_groups()
        return {
            "AICORE_AUTH_URL": f"{url}/oauth/token",
            "AICORE_BASE_URL": f"{url}/v2",
            "AICORE_CLIENT_ID": token.client_id or _ANY_CLIENT_ID,
            "AICORE_CLIENT_SECRET": token.client_secret or _ANY_CLIENT_SECRET,
            "AICORE_RESOURCE_GROUP": groups[0] if groups else "default",
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target ever planned or added, whatever the service admits now."""
        return tuple(it.target for it in self._population.everyone())

    def shown(self, target: Target) -> list[dict[str, Any]]:
        """The entries that were visible at some time up to now, oldest first."""
        lines = self._population.live(target).shown(self._population.now_ns())
        return [msgspec.json.decode(line.json) for line in lines]

    @property
    def requests(self) -> Counter[str]:
        """How many of each kind have come in up to now."""
        return self._server.requests.copy()

    def stats(self) -> dict[str, Any]:
        """What `/simulator/stats` shows."""
        return self._inspection.stats()

    def add_target(self, plan: TargetSettings) -> Target:
        """Its own time, from which `at_s` counts, begins now."""
        return self._population.add(plan)

    def offer(self, plan: TargetSettings) -> None:
        """A client may create executions of this plan's configuration, in any resource group.

        Each lives as planned, from the moment on when it was asked for.
        """
        self._population.offer(plan)

    def remove_target(self, target: Target) -> None:
        self._population.remove(target)

    def restore_target(self, target: Target) -> None:
        """One that was removed: a gateway had lost its way to it, and it has lived on behind it."""
        self._population.restore(target)

    def set_status(self, target: Target, status: Status) -> None:
        """From now on, and for good: what was planned for later no longer happens."""
        self._population.live(target).turn(status, self._population.now_ns())

    def add_line(
        self,
        target: Target,
        timestamp_ns: int,
        msg: Text,
        *,
        pod: Text = "pod-1",
        container: Text = "main",
        stream: Text = UNSET,
        visible_at_ns: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """One line more, shown from its own time on unless said otherwise.

        `extra` are fields that the documentation does not know.
        """
        self._population.live(target).add_line(
            timestamp_ns,
            msg,
            pod=pod,
            container=container,
            stream=stream,
            visible_ns=visible_at_ns,
            extra=extra or {},
        )

    def add_entry(
        self,
        target: Target,
        entry: Mapping[str, object],
        *,
        at_ns: int,
        visible_at_ns: int | None = None,
    ) -> None:
        """An entry exactly as given: fields may be missing, null, unknown or wrong."""
        self._population.live(target).add_entry(entry, at_ns, visible_at_ns)

    def fail_next(self, fault: Fault, *, on: Collection[RequestKind] = (), count: int = 1) -> None:
        """The next `count` requests, of these kinds or of any, meet this fault for certain."""
        self._ordered.order(fault, on=on, count=count)

    def heal(self) -> None:
        """Forget the faults ordered and not yet met."""
        self._ordered.cancel()
