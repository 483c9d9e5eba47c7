"""Fixtures for every test. Async tests run in virtual time unless they say otherwise."""

from asyncio import AbstractEventLoop, SelectorEventLoop  # noqa: TID251 - pytest-asyncio takes loops
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, Phase, settings
from support.virtual_time import VirtualClock, VirtualTimeLoop

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
