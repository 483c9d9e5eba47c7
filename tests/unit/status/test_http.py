"""The HTTP server of the status page answers although clients are slow, idle or malformed."""

import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

import anyio
import pytest
from anyio.abc import SocketStream
from structlog.testing import capture_logs
from support.status_client import HttpResponse, everything, parse_response

from tailer.status.server import (
    CONNECTION_TIMEOUT_S,
    MAX_CONNECTIONS,
    REQUEST_TIMEOUT_S,
    reply,
    serving,
)

TEXT = "text/plain; charset=utf-8"
LARGE = b"x" * (16 << 20)  # more than the buffers of a socket hold
MARGIN_S = 0.5
SMALL = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a server with three pages."""
    routes = {
        "/small": lambda: reply(HTTPStatus.OK, b"hello", TEXT),
        "/large": lambda: reply(HTTPStatus.OK, LARGE, TEXT),
        "/broken": lambda: reply(HTTPStatus.OK, b"%d" % (1 // 0), TEXT),
    }
    async with serving("127.0.0.1:0", routes) as addresses:
        yield addresses[0][1]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield stream


async def sent(port: int, request: bytes) -> HttpResponse:
    async with connected(port) as stream:
        await stream.send(request)
        return parse_response(await everything(stream))


async def seconds_until_closed(stream: SocketStream) -> float:
    began_s = anyio.current_time()
    assert await everything(stream) == b""
    return anyio.current_time() - began_s


async def test_the_query_of_a_path_is_ignored() -> None:
    async with served() as port:
        answer = await sent(port, b"GET /small?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"hello")


async def test_no_answer_is_cached_and_each_ends_its_connection() -> None:
    async with served() as port:
        answer = await sent(port, SMALL)

    assert answer.headers["Content-Type"] == TEXT
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Server"] == "tailer"


async def test_head_is_get_without_the_body() -> None:
    async with served() as port:
        answer = await sent(port, b"HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "5", b"")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /small HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET /small HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc", 413),
        (b"GET /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 413),
    ],
)
async def test_an_unsupported_request_is_refused_as_text(request_: bytes, status: int) -> None:
    async with served() as port:
        answer = await sent(port, request_)

    assert (answer.status, answer.headers["Content-Type"]) == (status, TEXT)
    assert answer.body.startswith(str(status).encode())


async def test_post_is_answered_with_the_methods_that_are_allowed() -> None:
    async with served() as port:
        answer = await sent(port, b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET small HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /small HTTP/2\r\nHost: x\r\n\r\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
async def test_a_malformed_or_oversized_request_is_400_and_not_logged(
    request_: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as events:
        async with served() as port:
            answer = await sent(port, request_)

    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert events == []
    assert capfd.readouterr().err == ""


async def test_an_answer_that_fails_is_500_and_one_event_without_a_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with capture_logs() as events:
        async with served() as port:
            answer = await sent(port, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.status == 500
    assert b"Traceback" not in answer.body
    assert [(event["event"], event["error"][:17]) for event in events] == [
        ("status_request_failed", "ZeroDivisionError")
    ]
    assert capfd.readouterr().err == ""


async def test_a_request_may_come_in_pieces() -> None:
    async with served() as port, connected(port) as stream:
        for piece in (b"GET /sm", b"all HTTP/1.1\r", b"\nHost: x\r\n\r", b"\n"):
            await stream.send(piece)
            await anyio.wait_all_tasks_blocked()
        answer = parse_response(await everything(stream))

    assert answer.body == b"hello"


@pytest.mark.parametrize("beginning", [b"", b"GET /small HTTP/1.1\r\nHost:"])
async def test_an_idle_connection_and_half_a_request_are_closed(beginning: bytes) -> None:
    async with served() as port, connected(port) as stream:
        if beginning:
            await stream.send(beginning)
        took_s = await seconds_until_closed(stream)

    assert took_s == pytest.approx(REQUEST_TIMEOUT_S, abs=MARGIN_S)


async def test_a_header_that_drips_does_not_prolong_the_connection() -> None:
    async with served() as port, connected(port) as stream:

        async def drip() -> None:
            with anyio.move_on_after(10 * CONNECTION_TIMEOUT_S):
                await stream.send(b"GET /small HTTP/1.1\r\nHost: x\r\nX: ")
                while True:
                    await anyio.sleep(0.2)  # noqa: TID251 - in virtual time
                    await stream.send(b"y")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drip)
            took_s = await seconds_until_closed(stream)
            tasks.cancel_scope.cancel()

    assert took_s == pytest.approx(REQUEST_TIMEOUT_S, abs=MARGIN_S)


async def test_a_body_that_drips_does_not_prolong_the_connection() -> None:
    async with served() as port, connected(port) as stream:
        began_s = anyio.current_time()
        await stream.send(b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        answer = parse_response(await everything(stream))
        took_s = anyio.current_time() - began_s

    assert answer.status == 405
    assert took_s <= REQUEST_TIMEOUT_S


async def test_an_answer_that_is_not_read_is_aborted() -> None:
    async with served() as port, connected(port) as stream:
        await stream.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await anyio.sleep(CONNECTION_TIMEOUT_S + MARGIN_S)  # noqa: TID251 - in virtual time
        answer = await everything(stream)

    assert len(answer) < len(LARGE)


async def test_idle_clients_beyond_the_limit_are_closed_and_others_answered() -> None:
    async with served() as port:
        idle = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(3 * MAX_CONNECTIONS)]
        began_s = anyio.current_time()
        answer = await sent(port, SMALL)
        oldest = await seconds_until_closed(idle[0])
        took_s = anyio.current_time() - began_s
        for stream in idle:
            await anyio.aclose_forcefully(stream)

    assert answer.body == b"hello"
    assert oldest < took_s + MARGIN_S < REQUEST_TIMEOUT_S


async def test_the_end_does_not_wait_for_open_connections() -> None:
    async with anyio.create_task_group() as tasks:  # so that clients outlive the server
        async with served() as port:
            idle = await anyio.connect_tcp("127.0.0.1", port)
            unread = await anyio.connect_tcp("127.0.0.1", port)
            await unread.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await anyio.sleep(1)  # noqa: TID251 - in virtual time
            began_s = anyio.current_time()
        took_s = anyio.current_time() - began_s
        for stream in (idle, unread):
            await anyio.aclose_forcefully(stream)
        tasks.cancel_scope.cancel()

    assert took_s < MARGIN_S


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Until the end of the block this process can open no file and accept no connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        number = highest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_logs_once_and_answers_when_there_are_some_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with capture_logs() as events:
        async with served() as port, connected(port):
            with socket.socket() as client:
                client.setblocking(False)
                with no_descriptors_left():
                    client.connect_ex(("127.0.0.1", port))
                    await anyio.sleep(5)  # noqa: TID251 - in virtual time
                client.sendall(SMALL)
                await anyio.wait_readable(client)
                answer = parse_response(client.recv(65_536))

    assert answer.status == 200
    assert [event["event"] for event in events] == ["status_accept_failed"]
    assert capfd.readouterr().err == ""
