from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from support.syslog.fake_servers import RelpServer, deaf_server, reset, serving, transport_to
from support.virtual_time import VirtualClock

from tailer.config.settings import SyslogSection
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Address, Connector
from tailer.sinks.syslog.relp import RelpTransport
from tailer.sinks.syslog.relp_frames import LAST_TXNR, Frame, FrameReader, encoded
from tailer.sinks.syslog.transport import UnconfirmedMessages

MESSAGES = [b"one", b"two\nlines", b"three", b"four", b"five"]


async def send_to(server: RelpServer, unconfirmed: UnconfirmedMessages, **settings: Any) -> None:
    async with serving(server) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}", **settings).connect()
        try:
            await connection.send(unconfirmed)
        finally:
            await connection.aclose()


@pytest.mark.parametrize(
    "server",
    [
        RelpServer(),
        RelpServer(byte_by_byte=True),
        RelpServer(answers_at_once=5),
        RelpServer(answers_at_once=5, backwards=True),
    ],
    ids=["usual", "byte by byte", "late", "backwards"],
)
async def test_everything_is_delivered_for_any_order_of_responses(server: RelpServer) -> None:
    unconfirmed = UnconfirmedMessages(MESSAGES)
    await send_to(server, unconfirmed)

    assert not unconfirmed
    assert sorted(server.taken) == sorted(MESSAGES)


@pytest.mark.parametrize("window", [1, 2, 7])
async def test_unacknowledged_messages_never_exceed_the_window(window: int) -> None:
    server = RelpServer()
    await send_to(server, UnconfirmedMessages([b"x"] * 50), relp_window=window)

    assert server.most_unanswered <= window
    assert len(server.taken) == 50


async def test_transaction_numbers_wrap_around_to_one() -> None:
    server = RelpServer()
    async with serving(server) as port:
        section = SyslogSection(url=("relp://h",), ack_timeout_s=1.0)
        connector = Connector(
            "relp://h",
            Address("127.0.0.1", port),
            section,
            has_tls=False,
            clock=VirtualClock(),
        )
        connection = await RelpTransport(connector, section, first_txnr=LAST_TXNR - 1).connect()
        await connection.send(UnconfirmedMessages([b"one", b"two"]))
        await connection.aclose()

    assert server.txnrs == [LAST_TXNR - 1, LAST_TXNR, 1, 2]


async def test_a_rejected_message_is_reported_and_kept_while_the_rest_is_sent() -> None:
    server = RelpServer(judge=lambda message: b"500 no \x1broom" if b"two" in message else b"200")
    unconfirmed = UnconfirmedMessages(MESSAGES)
    with pytest.raises(TransientSinkError, match=r"refused 1 messages: 500 no \?room"):
        await send_to(server, unconfirmed)

    assert unconfirmed.pending == [(1, b"two\nlines")]


async def refused(
    unconfirmed: UnconfirmedMessages, judge: Callable[[bytes], bytes], *, times: int
) -> list[int]:
    """How many were dropped after each attempt, all of them at the same time."""
    dropped = []
    for _ in range(times):
        unconfirmed.start_attempt()
        with pytest.raises(TransientSinkError):
            await send_to(RelpServer(judge=judge), unconfirmed)
        dropped.append(len(unconfirmed.drop_rejected(now_s=anyio.current_time())))
    return dropped


async def test_a_message_rejected_five_times_while_others_pass_is_dropped() -> None:
    def judge(message: bytes) -> bytes:
        return b"500 no" if b"one" in message else b"200"

    assert await refused(UnconfirmedMessages([b"one", b"two"]), judge, times=5) == [0, 0, 0, 0, 1]


async def test_no_message_is_dropped_if_the_server_rejects_all() -> None:
    unconfirmed = UnconfirmedMessages([b"%d" % number for number in range(20)])

    assert await refused(unconfirmed, lambda _: b"500 disk full", times=8) == [0] * 8
    assert not unconfirmed.drop_rejected(now_s=anyio.current_time() + 3600)


async def test_a_single_rejected_message_is_dropped_after_ten_minutes() -> None:
    unconfirmed = UnconfirmedMessages([b"one"])

    assert await refused(unconfirmed, lambda _: b"500 no", times=8) == [0] * 8
    assert len(unconfirmed.drop_rejected(now_s=anyio.current_time() + 600)) == 1


@pytest.mark.parametrize("farewell", [True, False])
@pytest.mark.parametrize("answers", [0, 1, 4])
async def test_unacknowledged_messages_are_sent_again_after_a_reconnect(
    answers: int, farewell: bool
) -> None:
    server = RelpServer(answers_before_end=answers, farewell=farewell)
    unconfirmed = UnconfirmedMessages(MESSAGES)
    output = "the server closes the session" if farewell else "closed the connection"
    async with serving(server) as port:
        transport = transport_to(f"relp://127.0.0.1:{port}")
        first = await transport.connect()
        with pytest.raises(TransientSinkError, match=output):
            await first.send(unconfirmed)
        await first.aclose()
        left = len(unconfirmed)
        second = await transport.connect()
        await second.send(unconfirmed)
        await second.aclose()

    assert left == len(MESSAGES) - answers
    assert server.taken == MESSAGES


async def test_after_serverclose_while_idle_nothing_is_written() -> None:
    async def welcome_and_leave(stream: ByteStream) -> None:
        await RelpServer().answer_command(stream, FrameReader().read(await stream.receive())[0])
        await anyio.sleep(0.5)  # noqa: TID251 - of virtual time
        await stream.send(encoded(Frame(0, b"serverclose")))
        await anyio.sleep_forever()

    async with serving(welcome_and_leave) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        await anyio.sleep(1)  # noqa: TID251 - of virtual time
        is_open = await connection.is_open()
        await connection.aclose()

    assert not is_open


async def test_a_server_without_responses_is_disconnected_after_the_ack_timeout() -> None:
    unconfirmed = UnconfirmedMessages(MESSAGES)
    with pytest.raises(TransientSinkError, match="no answer for 12 s"):
        await send_to(RelpServer(answers_at_once=99), unconfirmed, ack_timeout_s=12.0)

    assert len(unconfirmed) == len(MESSAGES)


async def test_unrelated_responses_do_not_extend_the_ack_timeout() -> None:
    async def chatter(stream: ByteStream) -> None:
        await RelpServer().answer_command(stream, FrameReader().read(await stream.receive())[0])
        while True:
            await anyio.sleep(5)  # noqa: TID251 - of virtual time
            await stream.send(encoded(Frame(0, b"hint")) + encoded(Frame(77, b"rsp", b"200 OK")))

    async with serving(chatter) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}", ack_timeout_s=12.0).connect()
        with pytest.raises(TransientSinkError, match="for 12 s"), anyio.fail_after(100):
            await connection.send(unconfirmed := UnconfirmedMessages(MESSAGES))
        await connection.aclose()

    assert len(unconfirmed) == len(MESSAGES)


async def test_a_connection_is_closed_by_the_relp_protocol() -> None:
    server = RelpServer()
    await send_to(server, UnconfirmedMessages(MESSAGES))

    assert server.closed == 1


async def test_a_missing_response_to_close_does_not_block() -> None:
    async def only_welcome(stream: ByteStream) -> None:
        await RelpServer().answer_command(stream, FrameReader().read(await stream.receive())[0])
        await anyio.sleep_forever()

    async with serving(only_welcome) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        begun_s = anyio.current_time()
        with anyio.CancelScope() as stopping:
            stopping.cancel()
            await connection.aclose()

    assert 2.0 <= anyio.current_time() - begun_s <= 3.1


@pytest.mark.parametrize(
    ("welcome", "output"),
    [
        (b"500 not you", "refused RELP.s open: 500 not you"),
        (b"200 OK\ncommands=syslog", "agreed to no version"),
        (b"200 OK\nrelp_version=0\ncommands=eventlog", "accepts no syslog"),
        (b"hello", "does not speak RELP"),
    ],
)
async def test_a_server_that_rejects_open_gets_no_messages(welcome: bytes, output: str) -> None:
    async with serving(RelpServer(welcome=welcome)) as port:
        with pytest.raises(TransientSinkError, match=output):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


@pytest.mark.parametrize(
    ("banner", "output"),
    [
        (b"220 mail.example ESMTP\r\n", "does not speak RELP on that port"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", "the server speaks TLS on that port"),
    ],
)
async def test_a_server_of_another_protocol_is_recognized(banner: bytes, output: str) -> None:
    async with serving(lambda stream: stream.send(banner)) as port:
        with pytest.raises(TransientSinkError, match=output):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


async def test_a_silent_server_is_disconnected() -> None:
    with deaf_server() as server:
        url = f"relp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TransientSinkError, match="no answer to RELP's open within 3 s"):
            await transport_to(url, connect_timeout_s=3.0).connect()


async def test_a_reset_keeps_all_unacknowledged_messages() -> None:
    async def answer_one_and_reset(stream: ByteStream) -> None:
        await RelpServer(answers_before_end=1)(stream)
        await reset(stream)

    unconfirmed = UnconfirmedMessages(MESSAGES)
    async with serving(answer_one_and_reset) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        with pytest.raises(TransientSinkError):
            await connection.send(unconfirmed)
        await connection.aclose()

    assert [message for _, message in unconfirmed.pending] == MESSAGES[1:]


async def test_a_blocked_send_is_canceled_at_once() -> None:
    async with serving(RelpServer(answers_at_once=99)) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        with anyio.move_on_after(5) as waiting:
            await connection.send(UnconfirmedMessages(MESSAGES))
        is_open = await connection.is_open()
        await connection.aclose()

    assert waiting.cancelled_caught
    assert not is_open


async def test_a_serverclose_with_the_open_response_stops_writing() -> None:
    async def welcome_and_leave(stream: ByteStream) -> None:
        (opening,) = FrameReader().read(await stream.receive())
        answer = encoded(Frame(opening.txnr, b"rsp", b"200 OK\nrelp_version=0\ncommands=syslog"))
        await stream.send(answer + encoded(Frame(0, b"serverclose")))

    async with serving(welcome_and_leave) as port:
        with pytest.raises(TransientSinkError, match="closes the session"):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


async def test_delayed_responses_do_not_stop_the_window() -> None:
    """As a server's TCP does (Nagle): rsyslog took a tenth as many for half a window's wait."""

    async def answer_only_three_at_once(stream: ByteStream) -> None:
        server, frames, held = RelpServer(), FrameReader(), list[Frame]()
        while True:
            received = b""
            with anyio.move_on_after(1):
                received = await stream.receive()
            arrived = frames.read(received)
            count = len(arrived) if arrived and arrived[-1].content == b"last" else 3
            for frame in [*held, *arrived[:count]]:
                await server.answer_command(stream, frame)
            held = arrived[count:]

    async with serving(answer_only_three_at_once) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}", relp_window=8).connect()
        begun_s = anyio.current_time()
        await connection.send(UnconfirmedMessages([*[b"x"] * 80, b"last"]))
        lasted_s = anyio.current_time() - begun_s
        await connection.aclose()

    assert lasted_s < 0.5
