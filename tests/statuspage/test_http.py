"""The smallest HTTP server that a slow, rude or chatty client cannot hold up."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
import pytest
from anyio.abc import TaskGroup
from statuspage.asker import Told, everything, told

from tailer.status.http import DEADLINE_S, MAX_CONNECTIONS, Reply, Server
from tailer.status.sockets import accept

pytestmark = pytest.mark.anyio

LARGE = b"x" * (16 << 20)  # more than any socket takes by itself
MARGIN_S = 2.0


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a server with two pages."""
    server = Server(
        {
            "/small": lambda: Reply(HTTPStatus.OK, b"hello"),
            "/large": lambda: Reply(HTTPStatus.OK, LARGE),
        }
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def accept_all(tasks: TaskGroup) -> None:
            while True:
                tasks.start_soon(server.serve, await accept(listening))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept_all, tasks)
            yield listening.getsockname()[1]
            tasks.cancel_scope.cancel()


async def sent(port: int, question: bytes) -> Told:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(question)
        return told(await everything(stream))


async def test_a_page_is_found_by_its_path_whatever_is_asked_of_it() -> None:
    async with served() as port:
        answer = await sent(port, b"GET /small?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"hello")


async def test_head_is_get_without_the_body() -> None:
    async with served() as port:
        answer = await sent(port, b"HEAD /small HTTP/1.0\r\n\r\n")

    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "5", b"")


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /small HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /small HTTP/1.1\r\n\r\n", 405),
        (b"GET small HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /small HTTP/2\r\n\r\n", 400),
        (b"GET /small HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_it_does_not_do_is_told_as_text(question: bytes, status: int) -> None:
    async with served() as port:
        answer = await sent(port, question)

    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.body.startswith(str(status).encode())


async def test_a_question_may_come_in_pieces() -> None:
    async with served() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        for piece in (b"GET /sm", b"all HTTP/1.1\r", b"\nHost: x\r\n\r", b"\n"):
            await stream.send(piece)
            await anyio.wait_all_tasks_blocked()
        answer = told(await everything(stream))

    assert answer.body == b"hello"


@pytest.mark.parametrize("beginning", [b"", b"GET /small HTTP/1.1\r\nHost:"])
async def test_half_a_question_is_not_waited_for(beginning: bytes) -> None:
    async with served() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        began_s = anyio.current_time()
        if beginning:
            await stream.send(beginning)
        answer = await everything(stream)
        took_s = anyio.current_time() - began_s

    assert answer == b""
    assert took_s < DEADLINE_S + MARGIN_S


async def test_who_does_not_read_the_answer_is_left() -> None:
    async with served() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET /large HTTP/1.1\r\n\r\n")
        with anyio.fail_after(10 * DEADLINE_S):
            await anyio.sleep(DEADLINE_S + MARGIN_S)  # noqa: TID251 - in virtual time
        answer = await everything(stream)

    assert len(answer) < len(LARGE)


async def test_a_hundred_silent_clients_keep_nobody_from_being_answered() -> None:
    async with served() as port:
        silent = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(3 * MAX_CONNECTIONS)]
        began_s = anyio.current_time()
        answer = await sent(port, b"GET /small HTTP/1.1\r\n\r\n")
        took_s = anyio.current_time() - began_s
        for stream in silent:
            await anyio.aclose_forcefully(stream)

    assert answer.body == b"hello"
    assert took_s < DEADLINE_S
