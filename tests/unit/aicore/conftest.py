from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from support.fake_service import Caller, FakeService, calling


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with FakeService().serving() as running:
        yield running


@pytest.fixture
async def caller(service: FakeService) -> AsyncIterator[Caller]:
    async with calling(service.credentials()) as connected:
        yield connected


class _ClientResponse(ClientResponse):
    """aioresponses 0.7.9 does not know `stream_writer` of aiohttp >= 3.14 (its issue 289)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        nothing_sent: Any = SimpleNamespace(output_size=0)
        super().__init__(*args, stream_writer=nothing_sent, **more)


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Answers and exceptions of aiohttp that no server on loopback can cause."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _ClientResponse)
    with aioresponses() as mocked:
        yield mocked
