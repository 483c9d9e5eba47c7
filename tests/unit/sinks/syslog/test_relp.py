from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from support.syslog.fake_servers import RelpServer, deaf_server, reset, serving, transport_to
from support.virtual_time import VirtualClock

from tailer.errors import TransientSinkError
from tailer.sinks.syslog.connect import Address, Connector
from tailer.sinks.syslog.relp import RelpTransport
from tailer.sinks.syslog.relp_frames import LAST_TXNR, Frame, FrameReader, encoded
from tailer.sinks.syslog.transport import Outbox

MESSAGES = [b"one", b"two\nlines", b"three", b"four", b"five"]


async def send_to(server: RelpServer, outbox: Outbox, **settings: Any) -> None:
    async with serving(server) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}", **settings).connect()
        try:
            await connection.send(outbox)
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
async def test_all_is_delivered_however_the_answers_come(server: RelpServer) -> None:
    outbox = Outbox(MESSAGES)
    await send_to(server, outbox)

    assert not outbox
    assert sorted(server.taken) == sorted(MESSAGES)


@pytest.mark.parametrize("window", [1, 2, 7])
async def test_never_are_more_messages_under_way_than_the_window_allows(window: int) -> None:
    server = RelpServer()
    await send_to(server, Outbox([b"x"] * 50), relp_window=window)

    assert server.most_unanswered <= window
    assert len(server.taken) == 50


async def test_numbers_begin_again_at_one_after_the_last() -> None:
    server = RelpServer()
    async with serving(server) as port:
        connector = Connector(
            "relp://h",
            Address("127.0.0.1", port),
            clock=VirtualClock(),
            connect_timeout_s=1.0,
            ack_timeout_s=1.0,
        )
        connection = await RelpTransport(
            connector, window=8, connect_timeout_s=1.0, ack_timeout_s=1.0, first_txnr=LAST_TXNR - 1
        ).connect()
        await connection.send(Outbox([b"one", b"two"]))
        await connection.aclose()

    assert server.txnrs == [LAST_TXNR - 1, LAST_TXNR, 1, 2]


async def test_what_a_server_refuses_is_named_and_stays_while_the_rest_goes_through() -> None:
    server = RelpServer(judge=lambda message: b"500 no \x1broom" if b"two" in message else b"200")
    outbox = Outbox(MESSAGES)
    with pytest.raises(TransientSinkError, match=r"refused 1 messages: 500 no \?room"):
        await send_to(server, outbox)

    assert outbox.waiting == [(1, b"two\nlines")]


async def refused(outbox: Outbox, judge: Callable[[bytes], bytes], *, times: int) -> list[int]:
    """How many were given up after each attempt, all of them at the same time."""
    given_up = []
    for _ in range(times):
        outbox.begin()
        with pytest.raises(TransientSinkError):
            await send_to(RelpServer(judge=judge), outbox)
        given_up.append(len(outbox.give_up_refused(now_s=anyio.current_time())))
    return given_up


async def test_a_message_that_is_refused_while_the_next_is_taken_is_given_up_the_fifth_time() -> (
    None
):
    def judge(message: bytes) -> bytes:
        return b"500 no" if b"one" in message else b"200"

    assert await refused(Outbox([b"one", b"two"]), judge, times=5) == [0, 0, 0, 0, 1]


async def test_a_server_that_refuses_everything_makes_nothing_be_given_up() -> None:
    outbox = Outbox([b"%d" % number for number in range(20)])

    assert await refused(outbox, lambda _: b"500 disk full", times=8) == [0] * 8
    assert not outbox.give_up_refused(now_s=anyio.current_time() + 3600)


async def test_a_message_that_is_refused_alone_is_given_up_after_ten_minutes() -> None:
    outbox = Outbox([b"one"])

    assert await refused(outbox, lambda _: b"500 no", times=8) == [0] * 8
    assert len(outbox.give_up_refused(now_s=anyio.current_time() + 600)) == 1


@pytest.mark.parametrize("farewell", [True, False])
@pytest.mark.parametrize("answers", [0, 1, 4])
async def test_what_was_not_answered_is_sent_again_over_the_next_connection(
    answers: int, farewell: bool
) -> None:
    server = RelpServer(answers_before_end=answers, farewell=farewell)
    outbox = Outbox(MESSAGES)
    said = "the server is going away" if farewell else "closed the connection"
    async with serving(server) as port:
        transport = transport_to(f"relp://127.0.0.1:{port}")
        first = await transport.connect()
        with pytest.raises(TransientSinkError, match=said):
            await first.send(outbox)
        await first.aclose()
        left = len(outbox)
        second = await transport.connect()
        await second.send(outbox)
        await second.aclose()

    assert left == len(MESSAGES) - answers
    assert server.taken == MESSAGES


async def test_a_server_that_says_goodbye_while_idle_is_not_written_to() -> None:
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


async def test_a_server_that_never_answers_is_left_after_the_ack_timeout() -> None:
    outbox = Outbox(MESSAGES)
    with pytest.raises(TransientSinkError, match="no answer for 12 s"):
        await send_to(RelpServer(answers_at_once=99), outbox, ack_timeout_s=12.0)

    assert len(outbox) == len(MESSAGES)


async def test_words_that_answer_nothing_do_not_make_a_server_seem_alive() -> None:
    async def chatter(stream: ByteStream) -> None:
        await RelpServer().answer_command(stream, FrameReader().read(await stream.receive())[0])
        while True:
            await anyio.sleep(5)  # noqa: TID251 - of virtual time
            await stream.send(encoded(Frame(0, b"hint")) + encoded(Frame(77, b"rsp", b"200 OK")))

    async with serving(chatter) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}", ack_timeout_s=12.0).connect()
        with pytest.raises(TransientSinkError, match="for 12 s"), anyio.fail_after(100):
            await connection.send(outbox := Outbox(MESSAGES))
        await connection.aclose()

    assert len(outbox) == len(MESSAGES)


async def test_a_connection_is_closed_as_relp_asks_for() -> None:
    server = RelpServer()
    await send_to(server, Outbox(MESSAGES))

    assert server.closed == 1


async def test_a_server_that_does_not_answer_our_close_is_not_waited_for() -> None:
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
    ("welcome", "said"),
    [
        (b"500 not you", "refused to open RELP: 500 not you"),
        (b"200 OK\ncommands=syslog", "agreed to no version"),
        (b"200 OK\nrelp_version=0\ncommands=eventlog", "takes no syslog"),
        (b"hello", "is not RELP"),
    ],
)
async def test_a_server_that_does_not_agree_is_not_written_to(welcome: bytes, said: str) -> None:
    async with serving(RelpServer(welcome=welcome)) as port:
        with pytest.raises(TransientSinkError, match=said):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


@pytest.mark.parametrize(
    ("banner", "said"),
    [
        (b"220 mail.example ESMTP\r\n", "what answers there is not RELP"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", "the server speaks TLS there"),
    ],
)
async def test_something_else_that_answers_is_recognized(banner: bytes, said: str) -> None:
    async with serving(lambda stream: stream.send(banner)) as port:
        with pytest.raises(TransientSinkError, match=said):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


async def test_a_server_that_takes_the_connection_and_says_nothing_is_left() -> None:
    with deaf_server() as server:
        url = f"relp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TransientSinkError, match="no answer to RELP's open within 3 s"):
            await transport_to(url, connect_timeout_s=3.0).connect()


async def test_a_reset_in_the_middle_leaves_all_that_was_not_answered() -> None:
    async def answer_one_and_reset(stream: ByteStream) -> None:
        await RelpServer(answers_before_end=1)(stream)
        await reset(stream)

    outbox = Outbox(MESSAGES)
    async with serving(answer_one_and_reset) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        with pytest.raises(TransientSinkError):
            await connection.send(outbox)
        await connection.aclose()

    assert [message for _, message in outbox.waiting] == MESSAGES[1:]


async def test_a_send_that_waits_is_canceled_at_once() -> None:
    async with serving(RelpServer(answers_at_once=99)) as port:
        connection = await transport_to(f"relp://127.0.0.1:{port}").connect()
        with anyio.move_on_after(5) as waiting:
            await connection.send(Outbox(MESSAGES))
        is_open = await connection.is_open()
        await connection.aclose()

    assert waiting.cancelled_caught
    assert not is_open


async def test_a_server_that_says_goodbye_with_its_welcome_is_not_written_to() -> None:
    async def welcome_and_leave(stream: ByteStream) -> None:
        (opening,) = FrameReader().read(await stream.receive())
        answer = encoded(Frame(opening.txnr, b"rsp", b"200 OK\nrelp_version=0\ncommands=syslog"))
        await stream.send(answer + encoded(Frame(0, b"serverclose")))

    async with serving(welcome_and_leave) as port:
        with pytest.raises(TransientSinkError, match="is going away"):
            await transport_to(f"relp://127.0.0.1:{port}").connect()


async def test_answers_that_are_held_back_until_we_say_more_do_not_stop_us() -> None:
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
        await connection.send(Outbox([*[b"x"] * 80, b"last"]))
        lasted_s = anyio.current_time() - begun_s
        await connection.aclose()

    assert lasted_s < 0.5
