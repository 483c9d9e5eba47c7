"""Fixtures for every test. Async tests run in virtual time unless they say otherwise."""

from collections.abc import Mapping
from typing import Any

import pytest
from virtual_time import VIRTUAL_BACKEND, VirtualClock


@pytest.fixture
def anyio_backend() -> tuple[str, Mapping[str, Any]]:
    return VIRTUAL_BACKEND


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
