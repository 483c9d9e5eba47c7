import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from support.syslog.fake_servers import transport_to

from tailer.errors import TransientSinkError
from tailer.sinks.syslog.transport import UnconfirmedMessages

MESSAGES = [b"one", b"two\nlines", b"three"]


@contextmanager
def udp_server(port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))
        server.setblocking(False)
        yield server


@contextmanager
def log_socket(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(path))
        server.setblocking(False)
        if kind == socket.SOCK_STREAM:
            server.listen()
        yield server
    path.unlink()


def received(server: socket.socket) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            found.append(server.recv(1_000_000))
        except BlockingIOError:
            return found


def udp_url(server: socket.socket) -> str:
    return f"udp://127.0.0.1:{server.getsockname()[1]}"


def send_too_long_for_a_router(sender: tuple[str, int], receiver: tuple[str, int]) -> None:
    """ICMP's "fragmentation needed" (RFC 792, RFC 1191), to whom that sender belongs."""
    try:
        router = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("only root may speak as a router does")
    addresses = socket.inet_aton(sender[0]) + socket.inet_aton(receiver[0])
    packet = struct.pack(">BBHHHBBH", 0x45, 0, 1500, 1, 0x4000, 64, socket.IPPROTO_UDP, 0)
    datagram = struct.pack(">HHHH", sender[1], receiver[1], 1480, 0)
    body = struct.pack(">HH", 0, 1400) + packet + addresses + datagram
    words = struct.unpack(f">{len(body) // 2}H", body)
    total = 0x0304 + sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    with router:
        router.sendto(struct.pack(">BBH", 3, 4, checksum) + body, sender)


async def test_an_icmp_error_of_one_datagram_does_not_fail_the_next() -> None:
    with udp_server() as server:
        connection = await transport_to(udp_url(server)).connect()
        await connection.send(UnconfirmedMessages([b"first"]))
        sender = server.recvfrom(100)[1]
        send_too_long_for_a_router(sender, server.getsockname())
        await connection.send(unconfirmed := UnconfirmedMessages(MESSAGES))
        await connection.aclose()

        assert received(server) == MESSAGES
    assert not unconfirmed


async def test_each_message_is_a_datagram() -> None:
    with udp_server() as server:
        connection = await transport_to(udp_url(server)).connect()
        await connection.send(unconfirmed := UnconfirmedMessages(MESSAGES))
        await connection.aclose()

        assert received(server) == MESSAGES
    assert not unconfirmed


async def test_the_rate_limit_of_datagrams_spans_connections() -> None:
    with udp_server() as server:
        transport = transport_to(udp_url(server), datagrams_per_s=100.0)
        begun_s = anyio.current_time()
        for _ in range(5):
            connection = await transport.connect()
            await connection.send(UnconfirmedMessages([b"x"] * 20))
            await connection.aclose()

    assert 0.9 <= anyio.current_time() - begun_s <= 1.1


async def test_without_a_limit_nothing_waits() -> None:
    with udp_server() as server:
        connection = await transport_to(udp_url(server), datagrams_per_s=0.0).connect()
        begun_s = anyio.current_time()
        await connection.send(UnconfirmedMessages([b"x"] * 1000))
        await connection.aclose()

    assert anyio.current_time() == begun_s


async def test_without_a_listener_messages_are_kept() -> None:
    with udp_server() as server:
        url, port = udp_url(server), server.getsockname()[1]
    unconfirmed = UnconfirmedMessages(MESSAGES)
    connection = await transport_to(url).connect()
    with pytest.raises(TransientSinkError, match="connection refused"):
        await connection.send(unconfirmed)
    await connection.aclose()
    with udp_server(port) as server:
        connection = await transport_to(url).connect()
        await connection.send(unconfirmed)
        await connection.aclose()

        assert received(server) == MESSAGES


async def test_a_message_too_long_for_a_datagram_is_dropped_and_the_rest_sent() -> None:
    unconfirmed = UnconfirmedMessages([b"one", b"x" * 65_508, b"three"])
    with udp_server() as server:
        connection = await transport_to(udp_url(server)).connect()
        with pytest.raises(TransientSinkError, match="1 messages are too long for a datagram"):
            await connection.send(unconfirmed)
        await connection.aclose()

        assert received(server) == [b"one", b"three"]
    assert [refusal.reason for _, refusal in unconfirmed.drop_rejected(now_s=0)] == [
        "65508 bytes are too long"
    ]
    assert not unconfirmed


async def test_a_name_without_an_address_does_not_resolve() -> None:
    with pytest.raises(TransientSinkError, match=r"udp://.*:514: the name does not resolve"):
        await transport_to(f"udp://{'x' * 64}.example").connect()


async def test_the_log_socket_of_this_machine_takes_datagrams(tmp_path: Path) -> None:
    with log_socket(tmp_path / "log") as server:
        connection = await transport_to(f"unix://{tmp_path}/log").connect()
        await connection.send(UnconfirmedMessages(MESSAGES))
        await connection.aclose()

        assert received(server) == MESSAGES


async def test_a_slow_daemon_is_waited_for(tmp_path: Path) -> None:
    messages = [b"%d" % number for number in range(500)]
    found: list[bytes] = []

    async def read_slowly(server: socket.socket) -> None:
        while len(found) < len(messages):
            await anyio.sleep(1)  # noqa: TID251 - of virtual time
            found.extend(received(server))

    with log_socket(tmp_path / "log") as server:
        connection = await transport_to(f"unix://{tmp_path}/log", ack_timeout_s=5.0).connect()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly, server)
            await connection.send(UnconfirmedMessages(messages))
        await connection.aclose()

    assert found == messages


async def test_a_daemon_that_does_not_read_times_out(tmp_path: Path) -> None:
    unconfirmed = UnconfirmedMessages([b"x"] * 10_000)
    with log_socket(tmp_path / "log"):
        connection = await transport_to(f"unix://{tmp_path}/log", ack_timeout_s=5.0).connect()
        with pytest.raises(TransientSinkError, match="accepted nothing for 5 s"):
            await connection.send(unconfirmed)
        await connection.aclose()

    assert unconfirmed


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_restarted_daemon_is_reconnected(tmp_path: Path, kind: socket.SocketKind) -> None:
    transport, unconfirmed = transport_to(f"unix://{tmp_path}/log"), UnconfirmedMessages(MESSAGES)
    with log_socket(tmp_path / "log", kind):
        connection = await transport.connect()
    with pytest.raises(TransientSinkError):
        await connection.send(unconfirmed)
    await connection.aclose()
    with pytest.raises(TransientSinkError, match="no process listens on that socket"):
        await transport.connect()
    with log_socket(tmp_path / "log", kind):
        connection = await transport.connect()
        assert await connection.is_open()
        await connection.aclose()


async def test_a_stale_socket_is_reported_as_having_no_listener(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
    with pytest.raises(TransientSinkError, match=r"unix://.*/log: connection refused"):
        await transport_to(f"unix://{tmp_path}/log").connect()


async def test_a_stream_socket_is_detected_and_gets_lines(tmp_path: Path) -> None:
    unconfirmed, stream = UnconfirmedMessages([b"one", b"two"]), b""

    async def read_later(server: socket.socket) -> None:
        nonlocal stream
        accepted, _ = server.accept()
        with accepted:
            await anyio.sleep(3)  # noqa: TID251 - of virtual time
            stream = accepted.recv(1000)
            await anyio.sleep(3)  # noqa: TID251 - of virtual time

    with log_socket(tmp_path / "log", socket.SOCK_STREAM) as server:
        connection = await transport_to(f"unix://{tmp_path}/log").connect()
        begun_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_later, server)
            await connection.send(unconfirmed)
            lasted_s = anyio.current_time() - begun_s
        is_open = await connection.is_open()
        await connection.aclose()

    assert stream == b"one\ntwo\n"
    assert 3 <= lasted_s < 3.1  # what the daemon has not read is not delivered
    assert not is_open


async def test_a_stream_socket_with_a_full_backlog_times_out(
    tmp_path: Path,
) -> None:
    with log_socket(tmp_path / "log", socket.SOCK_STREAM) as server:
        server.listen(0)
        transport = transport_to(f"unix://{tmp_path}/log", connect_timeout_s=4.0)
        connections = [await transport.connect()]
        with pytest.raises(TransientSinkError, match="no answer within 4 s"):
            connections.append(await transport.connect())
        for connection in connections:
            await connection.aclose()
