"""A simulated AI Core on loopback, in real time, for command lines run as real processes."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.command_line import Serve, World

from tailer.clock import SystemClock
from tailer.simulator import Simulator, SimulatorSettings


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as running:

        def start(*, ssl_context: SSLContext | None = None, **settings: Any) -> World:
            simulator = Simulator(SimulatorSettings(**{"targets": (), **settings}), SystemClock())
            portal = running.enter_context(start_blocking_portal())
            serving = simulator.serving(ssl_context=ssl_context)
            url = running.enter_context(portal.wrap_async_context_manager(serving))
            return World(portal, simulator, url, home=tmp_path)

        yield start


@pytest.fixture
def world(serve: Serve) -> World:
    return serve()
