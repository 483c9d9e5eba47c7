"""Serve a simulated SAP AI Core, change it from tests, report every line that was visible.

Two endpoints are the simulator's own and need no token: /simulator/truth and /simulator/stats.
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
from tailer.simulator.api import Api
from tailer.simulator.faults import Fault, FaultQueue
from tailer.simulator.line_generator import entry_timestamp
from tailer.simulator.server import Server
from tailer.simulator.settings import RequestKind, SimulatorSettings, TargetSettings
from tailer.simulator.targets import TargetRegistry
from tailer.simulator.tokens import Tokens
from tailer.timestamp import NS_PER_S, parse_ns

_SHUTDOWN_TIMEOUT_S = 1.0  # for open requests when the server closes

_ANY_CLIENT_ID = "sb-simulator!b1|aicore!b1"
_ANY_CLIENT_SECRET = "simulated"  # noqa: S105 - valid for a simulator only


class Simulator:
    """Opens nothing until `serving`. Every response depends only on the settings and the clock."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._targets = TargetRegistry(settings, clock)
        self._faults = FaultQueue()
        api = Api(self._targets, Tokens(settings.token, seed=settings.seed))
        self._server = Server(settings, clock, self._targets, api, self._faults)

    @asynccontextmanager
    async def serving(
        self, host: str = "127.0.0.1", port: int = 0, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Listen, and give the base URL. Port 0 takes any free one.

        Resources: the socket and its connections are closed at the end of the block.

        Raises:
            OSError: The address cannot be bound.
        """
        app = self._server.application()
        app.router.add_get("/simulator/truth", self._truth)
        app.router.add_get("/simulator/stats", self._stats)
        self._targets.start()
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_TIMEOUT_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
            bound_port = runner.addresses[0][1]
            scheme = "http" if ssl_context is None else "https"
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound_port}"
        finally:
            with anyio.move_on_after(2 * _SHUTDOWN_TIMEOUT_S, shield=True):
                await runner.cleanup()

    def credentials(self, url: str) -> dict[str, str]:
        """The environment variables for a client of the simulator at `url`."""
        token = self._settings.token
        groups = self._targets.resource_groups()
        return {
            "AICORE_AUTH_URL": f"{url}/oauth/token",
            "AICORE_BASE_URL": f"{url}/v2",
            "AICORE_CLIENT_ID": token.client_id or _ANY_CLIENT_ID,
            "AICORE_CLIENT_SECRET": token.client_secret or _ANY_CLIENT_SECRET,
            "AICORE_RESOURCE_GROUP": groups[0] if groups else "default",
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target ever planned or added, even if it does not exist now."""
        return tuple(it.target for it in self._targets.all())

    def shown(self, target: Target) -> list[dict[str, Any]]:
        """The entries that were visible at some time up to now, oldest first."""
        lines = self._targets.get(target).shown(self._targets.now_ns())
        return [msgspec.json.decode(line.json) for line in lines]

    @property
    def requests(self) -> Counter[str]:
        """The number of requests of each kind up to now."""
        return self._server.requests.copy()

    def stats(self) -> dict[str, Any]:
        """The content of /simulator/stats. Lines count once they are visible."""
        now_ns = self._targets.now_ns()
        shown = [line for it in self._targets.all() for line in it.shown(now_ns)]
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

    def add_target(self, plan: TargetSettings) -> Target:
        """Add a target; its `at_s` times count from now."""
        return self._targets.add(plan)

    def offer(self, plan: TargetSettings) -> None:
        """Let clients create executions of this plan's configuration, in any resource group.

        The `at_s` times of each count from its creation.
        """
        self._targets.add_configuration(plan)

    def remove_target(self, target: Target) -> None:
        """Delete the target: the service answers 404. `shown` still returns its lines."""
        self._targets.get(target).delete(self._targets.now_ns())

    def restore_target(self, target: Target) -> None:
        """Undo `remove_target`, as after a false 404 of a gateway.

        The target has written lines in the meantime.
        """
        self._targets.get(target).undelete()

    def set_status(self, target: Target, status: Status) -> None:
        """Change the status for good: later planned changes are canceled."""
        self._targets.get(target).set_status(status, self._targets.now_ns())

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
        """Add a line, visible from `visible_at_ns`, else from its own time.

        UNSET leaves a field out. `extra` are undocumented fields.
        """
        timestamp = entry_timestamp(timestamp_ns, self._settings.dialect.resolution)
        fields = {
            "timestamp": timestamp,
            "pod": pod,
            "container": container,
            "stream": stream,
            "msg": msg,
            **(extra or {}),
        }
        entry = {name: value for name, value in fields.items() if value is not UNSET}
        self.add_entry(target, entry, at_ns=timestamp_ns, visible_at_ns=visible_at_ns)

    def add_entry(
        self,
        target: Target,
        entry: Mapping[str, object],
        *,
        at_ns: int,
        visible_at_ns: int | None = None,
    ) -> None:
        """Add an entry exactly as given: fields may be missing, null, unknown or wrong."""
        self._targets.get(target).add_entry(entry, at_ns, visible_at_ns)

    def fail_next(self, fault: Fault, *, on: Collection[RequestKind] = (), count: int = 1) -> None:
        """Plan `fault` for the next `count` requests of these kinds; no kinds mean all kinds."""
        self._faults.add(fault, kinds=on, count=count)

    def heal(self) -> None:
        """Cancel the planned faults."""
        self._faults.clear()

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _truth(self, request: web.Request) -> web.Response:
        """The `shown` entries of `?target=deployment/ID`, optionally in `resource_group`.

        `until` is the first timestamp left out.
        """
        name, group = request.query.get("target"), request.query.get("resource_group")
        now_ns = self._targets.now_ns()
        try:
            until_ns = parse_ns(request.query["until"]) if "until" in request.query else now_ns + 1
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"until: {error}") from error
        for it in self._targets.all():
            if it.target.name == name and group in {None, it.target.resource_group}:
                entries = [line.json for line in it.shown(now_ns) if line.at_ns < until_ns]
                body = b"[" + b",".join(entries) + b"]"
                return web.Response(body=body, content_type="application/json")
        raise web.HTTPNotFound(text=f"no such target: {name}")
