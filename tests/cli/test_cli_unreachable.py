"""A service that cannot be reached at all: 3, soon, and what is wrong with it in one line."""

import socket
import ssl

import pytest
import trustme
from cli.command_line import Serve, World

LOGS = ("logs", "-q", "deployment/d1234567")
SOON_S = 15.0


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def certified(name: str) -> ssl.SSLContext:
    """A server by that name, vouched for by an authority that nobody knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(name).configure_cert(context)
    return context


def test_a_host_that_refuses_connections(world: World, closed_port: int) -> None:
    address = {"AICORE_BASE_URL": f"http://127.0.0.1:{closed_port}"}

    ended = world.run(*LOGS, more_environ=address, timeout_s=SOON_S)

    assert ended.code == 3
    assert "127.0.0.1: no connection" in ended.complaint


def test_a_host_that_nobody_knows(world: World) -> None:
    """.invalid never resolves (RFC 6761)."""
    address = {"AICORE_AUTH_URL": "https://aicore.invalid"}

    ended = world.run(*LOGS, more_environ=address, timeout_s=SOON_S)

    assert ended.code == 3
    assert "aicore.invalid: the name cannot be resolved" in ended.complaint


def test_a_host_whose_certificate_nobody_vouches_for(serve: Serve) -> None:
    world = serve(ssl_context=certified("127.0.0.1"))

    ended = world.run(*LOGS, timeout_s=SOON_S)

    assert ended.code == 3
    assert "127.0.0.1: its certificate cannot be trusted" in ended.complaint


def test_a_host_without_tls_that_should_have_it(world: World) -> None:
    address = {"AICORE_AUTH_URL": world.url.replace("http:", "https:")}

    ended = world.run(*LOGS, more_environ=address, timeout_s=SOON_S)

    assert ended.code == 3
    assert "127.0.0.1: no TLS connection" in ended.complaint
