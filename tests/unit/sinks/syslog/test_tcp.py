import socket
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import given
from hypothesis import strategies as st
from support.syslog.fake_servers import Keeper, Names, deaf_server, reset, serving, transport_to
from support.virtual_time import VirtualClock, run_in_virtual_time

from tailer.errors import SinkError, TransientSinkError
from tailer.sinks.syslog.connect import finish_connecting
from tailer.sinks.syslog.stream import StreamSocket
from tailer.sinks.syslog.tcp import TcpTransport
from tailer.sinks.syslog.transport import UnconfirmedMessages

MESSAGES = [b"one", b"two\nlines", b"three"]
MORE_THAN_FITS = [b"x" * 8000] * 1000


async def bring(port: int, unconfirmed: UnconfirmedMessages, **settings: Any) -> None:
    """Until all is delivered, over as many connections as it takes."""
    transport = transport_to(f"tcp://127.0.0.1:{port}", **settings)
    while unconfirmed:
        connection = await transport.connect()
        try:
            await connection.send(unconfirmed)
        except TransientSinkError:
            pass
        finally:
            await connection.aclose()


async def test_messages_arrive_whole_and_in_order() -> None:
    server = Keeper()
    async with serving(server) as port:
        await bring(port, UnconfirmedMessages(MESSAGES))

    assert server.messages == MESSAGES


async def test_lines_end_with_a_newline_where_configured() -> None:
    server = Keeper()
    async with serving(server) as port:
        await bring(port, UnconfirmedMessages([b"one", b"two"]), framing="lf")

    assert server.received == [b"one\ntwo\n"]


@given(st.lists(st.integers(1, 40), max_size=3))
def test_a_server_that_resets_after_any_byte_loses_nothing_and_never_sees_half_a_frame(
    limits: list[int],
) -> None:
    server = Keeper(limits=limits)

    async def run() -> None:
        async with serving(server) as port:
            await bring(port, UnconfirmedMessages(MESSAGES), ack_hold_s=0.5)

    run_in_virtual_time(run)

    assert set(server.messages) == set(MESSAGES)
    assert server.messages[-3:] == MESSAGES


async def test_nothing_is_delivered_when_the_connection_breaks_while_it_is_held() -> None:
    unconfirmed = UnconfirmedMessages([b"one"])

    async def read_then_reset_later(stream: ByteStream) -> None:
        await stream.receive()
        await anyio.sleep(0.4)  # noqa: TID251 - of virtual time
        await reset(stream)

    async with serving(read_then_reset_later) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}", ack_hold_s=0.5).connect()
        with pytest.raises(TransientSinkError, match="reset the connection"):
            await connection.send(unconfirmed)
        await connection.aclose()

    assert unconfirmed.pending == [(0, b"one")]


async def test_a_send_returns_when_the_connection_was_open_for_ack_hold_s() -> None:
    async with serving(Keeper()) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}", ack_hold_s=7.0).connect()
        begun_s = anyio.current_time()
        await connection.send(UnconfirmedMessages([b"one"]))
        lasted_s = anyio.current_time() - begun_s
        await connection.aclose()

    assert 7.0 <= lasted_s < 8.0


async def test_a_half_closed_connection_is_closed_and_its_lines_are_kept() -> None:
    unconfirmed = UnconfirmedMessages(MORE_THAN_FITS)

    async def half_close(stream: ByteStream) -> None:
        await stream.send_eof()
        await anyio.sleep_forever()

    async with serving(half_close) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}").connect()
        with anyio.fail_after(1), pytest.raises(TransientSinkError, match="server closed"):
            await connection.send(unconfirmed)
        await connection.aclose()

    assert len(unconfirmed) == len(MORE_THAN_FITS)


async def wait_until_ended(port: int) -> bool:
    connection = await transport_to(f"tcp://127.0.0.1:{port}").connect()
    was_open = await connection.is_open()
    await anyio.sleep(1)  # noqa: TID251 - of virtual time
    is_open = await connection.is_open()
    await connection.aclose()
    return was_open and not is_open


@pytest.mark.parametrize("end", [reset, ByteStream.aclose])
async def test_a_close_while_idle_is_noticed_before_the_next_write(end: object) -> None:
    async def leave(stream: ByteStream) -> None:
        await anyio.sleep(0.5)  # noqa: TID251 - of virtual time
        await end(stream)  # type: ignore[operator]

    async with serving(leave) as port:
        assert await wait_until_ended(port)


async def test_data_from_the_server_is_ignored() -> None:
    server = Keeper()

    async def talk(stream: ByteStream) -> None:
        await stream.send(b"220 welcome\r\n" * 1000)
        await server(stream)

    async with serving(talk) as port:
        await bring(port, UnconfirmedMessages(MESSAGES))

    assert server.messages == MESSAGES


async def test_a_server_that_stops_reading_is_disconnected_after_the_ack_timeout() -> None:
    with deaf_server() as server:
        port = server.getsockname()[1]
        connection = await transport_to(f"tcp://127.0.0.1:{port}", ack_timeout_s=20.0).connect()
        begun_s = anyio.current_time()
        with pytest.raises(TransientSinkError, match="accepted nothing for 20 s"):
            await connection.send(UnconfirmedMessages(MORE_THAN_FITS))
        lasted_s = anyio.current_time() - begun_s
        await connection.aclose()

    assert lasted_s >= 20


async def test_a_slow_server_is_not_disconnected() -> None:
    unconfirmed = UnconfirmedMessages(MORE_THAN_FITS[:100])

    async def read_slowly(server: socket.socket) -> None:
        await anyio.wait_readable(server)
        accepted, _ = server.accept()
        accepted.setblocking(False)
        with accepted:
            while unconfirmed:
                await anyio.sleep(1.5)  # noqa: TID251 - of virtual time
                with suppress(BlockingIOError):
                    accepted.recv(1_000_000)

    with deaf_server() as server:
        transport = transport_to(f"tcp://127.0.0.1:{server.getsockname()[1]}", ack_timeout_s=10.0)
        connection = await transport.connect()
        begun_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly, server)
            await connection.send(unconfirmed)
        await connection.aclose()

    assert anyio.current_time() - begun_s > 10.0


async def test_a_canceled_send_closes_its_connection_at_once() -> None:
    with deaf_server() as server:
        port = server.getsockname()[1]
        connection = await transport_to(f"tcp://127.0.0.1:{port}").connect()
        with anyio.move_on_after(5) as waiting:
            await connection.send(UnconfirmedMessages(MORE_THAN_FITS))
        is_open = await connection.is_open()
        begun_s = anyio.current_time()
        await connection.aclose()

    assert waiting.cancelled_caught
    assert not is_open
    assert anyio.current_time() == begun_s


async def test_closing_twice_is_harmless_and_in_good_order() -> None:
    server = Keeper()
    async with serving(server) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}").connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()
        await connection.aclose()

    assert server.endings == ["in good order"]


async def test_a_refused_connection_is_reported_in_one_line() -> None:
    async with serving(Keeper()) as port:
        pass
    with pytest.raises(TransientSinkError) as refused:
        await transport_to(f"tcp://127.0.0.1:{port}").connect()

    assert str(refused.value) == (
        f"tcp://127.0.0.1:{port}: connection refused (is a server listening on that port?)"
    )


async def test_a_name_that_resolves_later_is_found() -> None:
    server = Keeper()
    async with serving(server) as port:
        transport = transport_to("tcp://new.example", resolving=Names(port, from_attempt=2))
        with pytest.raises(TransientSinkError) as unknown:
            await transport.connect()
        connection = await transport.connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert "tcp://new.example:514: the name does not resolve: Name or serv" in str(unknown.value)
    assert server.messages == [b"one"]


async def test_an_invalid_name_does_not_resolve() -> None:
    with pytest.raises(TransientSinkError, match="does not resolve"):
        await transport_to(f"tcp://{'x' * 64}.example").connect()


async def test_a_second_address_is_tried_where_the_first_refuses() -> None:
    server = Keeper()
    async with serving(server) as port:

        async def two(
            *_: object,
        ) -> list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]]:
            return [(socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port))]

        connection = await transport_to("tcp://both.example", resolving=two).connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert server.messages == [b"one"]


async def test_a_hanging_resolver_is_subject_to_the_connection_timeout() -> None:
    async def hang(*_: object) -> list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]]:
        await anyio.sleep_forever()
        return []

    with pytest.raises(TransientSinkError, match=r"no answer within 3 s \(is the name server"):
        await transport_to("tcp://h", resolving=hang, connect_timeout_s=3.0).connect()


async def test_a_server_that_speaks_tls_is_recognized() -> None:
    async def complain(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(b"\x15\x03\x01\x00\x02\x02\x46")
        await stream.aclose()

    async with serving(complain) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}", ack_hold_s=1.0).connect()
        with pytest.raises(TransientSinkError, match="the server speaks TLS on that port"):
            await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()


async def test_a_system_that_reports_no_acknowledgements_is_refused() -> None:
    made = transport_to("tcp://127.0.0.1:1")
    assert isinstance(made, TcpTransport)
    transport = replace(made, platform="darwin")
    with pytest.raises(SinkError, match=r"darwin does not report .* \(use relp://") as refused:
        await transport.connect()

    assert not isinstance(refused.value, TransientSinkError)


async def test_a_dead_peer_is_noticed_by_tcp_keepalive() -> None:
    async with serving(Keeper()) as port:
        connection = await transport_to(f"tcp://127.0.0.1:{port}", ack_timeout_s=45.0).connect()
        wire: StreamSocket = connection.stream  # type: ignore[attr-defined]
        option = partial(wire._socket.getsockopt, socket.IPPROTO_TCP)
        kept_alive = wire._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = [
            option(socket.TCP_KEEPIDLE),
            option(socket.TCP_KEEPINTVL),
            option(socket.TCP_KEEPCNT),
            option(socket.TCP_USER_TIMEOUT),
        ]
        await connection.aclose()

    assert kept_alive
    assert options == [60, 10, 3, 45_000]


async def test_a_self_connected_socket_is_a_refused_connection() -> None:
    with socket.socket() as lonely:
        lonely.bind(("127.0.0.1", 0))  # as the system does, now and then, with the port asked for
        lonely.setblocking(False)

        with pytest.raises(ConnectionRefusedError):
            await finish_connecting(lonely, lonely.getsockname())


async def test_received_data_is_drained_in_bounded_steps() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        for _ in range(20):
            theirs.send(b"x")  # each is a read of its own
        wire = StreamSocket(ours, server="tcp://h:1", clock=VirtualClock())
        first, second = list(wire.read_all_available()), list(wire.read_all_available())

    assert len(first) < 20
    assert len(first) + len(second) == 20
