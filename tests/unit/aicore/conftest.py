from collections.abc import AsyncIterator

import pytest
from support.fake_service import Caller, FakeService, calling


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with FakeService().serving() as running:
        yield running


@pytest.fixture
async def caller(service: FakeService) -> AsyncIterator[Caller]:
    async with calling(service.credentials()) as connected:
        yield connected
