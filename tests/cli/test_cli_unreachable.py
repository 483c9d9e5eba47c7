"""An unreachable service: exit code 3 within seconds, and one line with the cause."""

import socket
import ssl
from contextlib import ExitStack

import pytest
import trustme
from support.command_line import Serve, World, running

LOGS = ("logs", "-q", "deployment/d1234567")
SOON_S = 15.0


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def certified(name: str) -> ssl.SSLContext:
    """A server context whose certificate is signed by an unknown authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(name).configure_cert(context)
    return context


def test_an_unreachable_address_is_reported_within_seconds(world: World, closed_port: int) -> None:
    """All three at once, because each is tried for a while. .invalid never resolves (RFC 6761)."""
    refusing = {"AICORE_BASE_URL": f"http://127.0.0.1:{closed_port}"}
    unknown = {"AICORE_AUTH_URL": "https://aicore.invalid"}
    plain = {"AICORE_AUTH_URL": world.url.replace("http:", "https:")}

    with ExitStack() as trying:
        ends = [
            trying.enter_context(running(*LOGS, environ=world.environ | address))
            for address in (refusing, unknown, plain)
        ]
        codes_and_complaints = [
            (ended.code, ": ".join(ended.complaint.split(": ")[:3]))
            for ended in (process.end(timeout_s=SOON_S) for process in ends)
        ]

    assert codes_and_complaints == [
        (3, "tailer: 127.0.0.1: no connection"),
        (3, "tailer: aicore.invalid: the name cannot be resolved"),
        (3, "tailer: 127.0.0.1: no TLS connection"),
    ]


def test_a_certificate_of_an_unknown_authority_is_reported(serve: Serve) -> None:
    world = serve(ssl_context=certified("127.0.0.1"))

    ended = world.run(*LOGS, timeout_s=SOON_S)

    assert ended.code == 3
    assert "127.0.0.1: its certificate cannot be trusted" in ended.complaint
