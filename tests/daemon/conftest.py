"""A bench for each test of the service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.daemon_bench import Bench, benched
from support.virtual_time import VirtualClock


@pytest.fixture
async def bench(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Bench]:
    async with benched(tmp_path, clock) as made:
        yield made
