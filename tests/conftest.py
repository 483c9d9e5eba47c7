"""Fixtures for every test. Async tests run in virtual time unless they say otherwise."""

from asyncio import AbstractEventLoop, SelectorEventLoop  # noqa: TID251 - pytest-asyncio takes loops
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from support.command_line import Serve, World
from support.virtual_time import VirtualClock, VirtualTimeLoop

from tailer.clock import SystemClock
from tailer.simulator import Simulator, SimulatorSettings

# How fast a busy machine draws examples says nothing about the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
# To find out *whether* something is broken (make mutants), the smallest case is not needed.
settings.register_profile(
    "quick-to-fail",
    parent=settings.get_profile("any-machine"),
    phases=[Phase.explicit, Phase.generate],
)


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """The loop in which an async test and its fixtures run."""
    if item.get_closest_marker("real_time") is not None:
        return {"real time": SelectorEventLoop}
    return {"virtual time": VirtualTimeLoop}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a simulated AI Core on loopback, in real time, for real processes."""
    with ExitStack() as running:

        def start(*, ssl_context: SSLContext | None = None, **options: Any) -> World:
            simulator = Simulator(SimulatorSettings(**{"targets": (), **options}), SystemClock())
            portal = running.enter_context(start_blocking_portal())
            serving = simulator.serving(ssl_context=ssl_context)
            url = running.enter_context(portal.wrap_async_context_manager(serving))
            return World(portal, simulator, url, home=tmp_path)

        yield start


@pytest.fixture
def world(serve: Serve) -> World:
    return serve()
