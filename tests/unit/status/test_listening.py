"""Listen addresses of the status page: a port or a unix socket that no other process uses."""

import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from support.status_client import ask, short_folder
from support.virtual_time import VirtualClock

from tailer.errors import ConfigError
from tailer.health.health import Health
from tailer.status.server import status_page


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


def page(listen: str, clock: VirtualClock) -> AbstractAsyncContextManager[None]:
    return status_page(listen, Health(), clock, lambda: None)


async def test_a_socket_is_for_owner_and_group_and_is_removed_at_the_end(
    folder: Path, clock: VirtualClock
) -> None:
    place = folder / "s.sock"

    async with page(f"unix:{place}", clock):
        answer = await ask(place, "/healthz")
        mode = place.stat().st_mode & 0o777

    assert (answer.status, mode) == (200, 0o660)
    assert not place.exists()


async def test_a_stale_socket_is_replaced(folder: Path, clock: VirtualClock) -> None:
    place = folder / "s.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(place))

    async with page(f"unix:{place}", clock):
        answer = await ask(place, "/healthz")

    assert answer.status == 200


async def test_a_socket_in_use_is_refused_and_left_alone(folder: Path, clock: VirtualClock) -> None:
    place = folder / "s.sock"

    async with page(f"unix:{place}", clock):
        with pytest.raises(ConfigError, match=r"s\.sock: address already in use"):
            async with page(f"unix:{place}", clock):
                pass
        answer = await ask(place, "/healthz")

    assert answer.status == 200


async def test_a_file_that_is_not_a_socket_is_not_removed(
    folder: Path, clock: VirtualClock
) -> None:
    place = folder / "notes.txt"
    place.write_text("mine", encoding="utf-8")

    with pytest.raises(ConfigError, match="is not a socket"):
        async with page(f"unix:{place}", clock):
            pass

    assert place.read_text(encoding="utf-8") == "mine"


async def test_a_missing_directory_is_named(folder: Path, clock: VirtualClock) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/s\.sock: No such file or directory"):
        async with page(f"unix:{folder}/nowhere/s.sock", clock):
            pass


async def test_a_port_in_use_is_named_with_what_to_do(clock: VirtualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            async with page(f"127.0.0.1:{port}", clock):
                pass

    assert str(refused.value) == (
        f"[status] listen: cannot listen on 127.0.0.1:{port}: address already in use (stop the "
        'process that uses it, or set another address; "" turns the status page off)'
    )


async def test_an_address_of_another_machine_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ConfigError, match="this machine does not have that address"):
        async with page("192.0.2.1:9464", clock):
            pass


async def test_an_empty_address_is_none(clock: VirtualClock) -> None:
    async with page("", clock):
        pass
