"""Where a status page can be: a port or a socket of its own, and nobody else's."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from statuspage.asker import ask, short_folder
from virtual_time import VirtualClock

from tailer.errors import ConfigError
from tailer.health.health import Health
from tailer.status.server import serve_status
from tailer.status.sockets import listening_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@asynccontextmanager
async def served(listen: str, clock: VirtualClock) -> AsyncIterator[None]:
    async with listening_at(listen) as listening, anyio.create_task_group() as tasks:
        tasks.start_soon(serve_status, listening, Health(), clock, lambda: None)
        yield
        tasks.cancel_scope.cancel()


async def test_a_socket_is_for_its_owner_and_group_and_gone_in_the_end(
    folder: Path, clock: VirtualClock
) -> None:
    place = folder / "s.sock"

    async with served(f"unix:{place}", clock):
        answer = await ask(place, "/healthz")
        mode = place.stat().st_mode & 0o777

    assert (answer.status, mode) == (200, 0o660)
    assert not place.exists()


async def test_a_socket_that_was_left_behind_is_replaced(folder: Path, clock: VirtualClock) -> None:
    place = folder / "s.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(place))

    async with served(f"unix:{place}", clock):
        answer = await ask(place, "/healthz")

    assert answer.status == 200


async def test_a_socket_that_somebody_serves_is_refused_and_left_alone(
    folder: Path, clock: VirtualClock
) -> None:
    place = folder / "s.sock"

    async with served(f"unix:{place}", clock):
        with pytest.raises(ConfigError, match=r"s\.sock: somebody serves there already"):
            async with listening_at(f"unix:{place}"):
                pass
        answer = await ask(place, "/healthz")

    assert answer.status == 200


async def test_a_file_that_is_no_socket_is_never_removed(folder: Path) -> None:
    place = folder / "notes.txt"
    place.write_text("mine", encoding="utf-8")

    with pytest.raises(ConfigError, match="which is no socket"):
        async with listening_at(f"unix:{place}"):
            pass

    assert place.read_text(encoding="utf-8") == "mine"


async def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/s\.sock: No such file or directory"):
        async with listening_at(f"unix:{folder}/nowhere/s.sock"):
            pass


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            async with listening_at(f"127.0.0.1:{port}"):
                pass

    assert str(refused.value) == (
        f"[status] listen: nothing can be served at 127.0.0.1:{port}: somebody serves there "
        'already (end what has it, or give this service another one ("" for none))'
    )


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="this machine has no such address"):
        async with listening_at("192.0.2.1:9464"):
            pass


async def test_an_empty_address_is_none() -> None:
    async with listening_at("") as listening:
        assert list(listening) == []
