"""Fixtures for every test. Async tests run in virtual time unless they say otherwise."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from virtual_time import VIRTUAL_BACKEND, VirtualClock

# How fast a busy machine draws examples says nothing about the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
# To find out *whether* something is broken (tests/mutants.py), the smallest case is not needed.
settings.register_profile(
    "quick-to-fail",
    parent=settings.get_profile("any-machine"),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.fixture
def anyio_backend() -> tuple[str, Mapping[str, Any]]:
    return VIRTUAL_BACKEND


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
