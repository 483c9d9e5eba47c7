from collections.abc import Sequence

import anyio
import pytest
from structlog.testing import capture_logs
from support.batches import lines

from tailer.errors import SinkError, TransientSinkError
from tailer.model import Batch, GapReason
from tailer.sinks.syslog.sink import SyslogSink
from tailer.sinks.syslog.transport import Connection, UnconfirmedMessages


class Server:
    """Takes messages; each connection only as many as the next of `limits` says."""

    def __init__(self, name: str, *, limits: Sequence[int] = (), refuses: bytes = b"\0") -> None:
        self.server = name
        self.taken: list[bytes] = []
        self.connections = 0
        self.open_connections = 0
        self.is_up = True
        self.is_fit = True
        self._limits = list(limits)
        self._refuses = refuses

    async def connect(self) -> Connection:
        if not self.is_fit:
            raise SinkError(f"{self.server}: never")
        if not self.is_up:
            raise TransientSinkError(f"{self.server}: connection refused", hint="is it running?")
        self.connections += 1
        self.open_connections += 1
        return ServerConnection(self, self._limits.pop(0) if self._limits else None)

    def take(self, unconfirmed: UnconfirmedMessages, number: int, message: bytes) -> None:
        if self._refuses in message:
            unconfirmed.reject(number, "500 no", now_s=0)
        else:
            self.taken.append(message)
            unconfirmed.confirm([number])


class ServerConnection:
    def __init__(self, server: Server, limit: int | None) -> None:
        self._server = server
        self._limit = limit
        self._closed = False

    async def send(self, unconfirmed: UnconfirmedMessages) -> None:
        for number, message in unconfirmed.pending[: self._limit]:
            self._server.take(unconfirmed, number, message)
        if unconfirmed and self._server.is_up and self._limit == 0:
            await anyio.sleep_forever()
        if unconfirmed:
            raise TransientSinkError(f"{self._server.server}: broke")

    async def is_open(self) -> bool:
        return self._server.is_up

    async def aclose(self) -> None:
        self._server.open_connections -= not self._closed
        self._closed = True


class Gaps(list[tuple[str, GapReason, str]]):
    def __call__(self, server: str, reason: GapReason, detail: str) -> None:
        self.append((server, reason, detail))


def texts(batch: Batch) -> list[bytes]:
    return [str(entry.msg).rstrip().encode() for entry in batch.entries]


def sink_to(*servers: Server, on_gap: Gaps | None = None) -> SyslogSink:
    return SyslogSink(servers, texts, name="syslog", on_gap=Gaps() if on_gap is None else on_gap)


async def test_several_batches_are_sent_in_order() -> None:
    server = Server("a")
    sink = sink_to(server)
    await sink.open(None)
    await sink.write([lines("one", "two"), lines("three")])
    await sink.aclose()

    assert server.taken == [b"one", b"two", b"three"]
    assert server.open_connections == 0


async def test_unreachable_servers_are_reported_at_the_start_in_one_line_each() -> None:
    first, second = Server("tcp://a"), Server("tcp://b")
    first.is_up = second.is_up = False
    with pytest.raises(TransientSinkError) as refused:
        await sink_to(first, second).open(None)

    assert str(refused.value) == (
        "tcp://a: connection refused (is it running?); tcp://b: connection refused (is it running?)"
    )


async def test_a_permanent_error_is_raised_at_once() -> None:
    server = Server("a")
    server.is_fit = False
    with pytest.raises(SinkError, match="never") as refused:
        await sink_to(server, Server("b")).open(None)

    assert not isinstance(refused.value, TransientSinkError)


async def test_a_retried_write_sends_only_the_rest() -> None:
    server = Server("a", limits=[2])
    sink, batches = sink_to(server), [lines("one"), lines("two", "three", "four")]
    await sink.open(None)
    with pytest.raises(TransientSinkError, match="broke"):
        await sink.write(batches)
    await sink.write(batches)
    await sink.aclose()

    assert server.taken == [b"one", b"two", b"three", b"four"]
    assert server.connections == 2


async def test_other_batches_after_a_failure_are_sent_whole() -> None:
    server = Server("a", limits=[1])
    sink = sink_to(server)
    await sink.open(None)
    with pytest.raises(TransientSinkError):
        await sink.write([lines("one", "two")])
    await sink.write([lines("three", "four")])
    await sink.aclose()

    assert server.taken == [b"one", b"three", b"four"]


async def test_repeated_lines_after_a_success_are_sent_again() -> None:
    server = Server("a")
    sink, batch = sink_to(server), lines("one")
    await sink.open(None)
    await sink.write([batch])
    await sink.write([batch])
    await sink.aclose()

    assert server.taken == [b"one", b"one"]


async def test_a_canceled_write_continues_over_a_new_connection() -> None:
    server = Server("a", limits=[0])
    sink, batch = sink_to(server), lines("one")
    await sink.open(None)
    with anyio.move_on_after(5) as waiting:
        await sink.write([batch])
    server.is_up = False  # the state of a connection after a canceled send
    with pytest.raises(TransientSinkError):
        await sink.write([batch])
    server.is_up = True
    await sink.write([batch])
    await sink.aclose()

    assert waiting.cancelled_caught
    assert server.taken == [b"one"]
    assert server.open_connections == 0


async def test_a_closed_idle_connection_is_replaced_before_the_write() -> None:
    first, second = Server("a"), Server("b")
    sink = sink_to(first, second)
    await sink.open(None)
    first.is_up = False
    await sink.write([lines("one")])
    await sink.aclose()

    assert (first.taken, second.taken) == ([], [b"one"])
    assert first.open_connections == 0


async def test_after_a_failure_the_next_server_is_used_and_kept() -> None:
    first, second = Server("a", limits=[1]), Server("b")
    sink, batch = sink_to(first, second), lines("one", "two")
    await sink.open(None)
    with pytest.raises(TransientSinkError):
        await sink.write([batch])
    await sink.write([batch])
    await sink.write([lines("three")])
    await sink.aclose()

    assert (first.taken, second.taken) == ([b"one"], [b"two", b"three"])


async def test_after_the_last_server_the_first_one_is_used() -> None:
    first, second = Server("a"), Server("b")
    first.is_up = False
    sink = sink_to(first, second)
    await sink.open(None)
    first.is_up, second.is_up = True, False
    await sink.write([lines("one")])
    await sink.aclose()

    assert first.taken == [b"one"]


async def test_only_a_change_of_server_is_logged() -> None:
    first, second = Server("a", limits=[0]), Server("b")
    sink = sink_to(first, second)
    with capture_logs() as logs:
        await sink.open(None)
        await sink.open(None)
        first.is_up = False
        await sink.write([lines("one")])
        await sink.aclose()

    assert [entry["server"] for entry in logs] == ["a", "b"]


async def test_a_message_rejected_five_times_is_a_gap_and_the_rest_is_sent() -> None:
    server, gaps = Server("relp://a", refuses=b"bad"), Gaps()
    sink, batch = sink_to(server, on_gap=gaps), lines("one", "bad secret", "three")
    await sink.open(None)
    for _ in range(4):
        with pytest.raises(TransientSinkError):
            await sink.write([batch])
    await sink.write([batch])
    await sink.write([lines("four")])
    await sink.aclose()

    assert server.taken == [b"one", b"three", b"four"]
    assert gaps == [("relp://a", GapReason.SINK_REFUSED, "dropped a record of 10 bytes: 500 no")]


async def test_a_dropped_record_is_named_by_its_id_and_never_by_its_text() -> None:
    gaps = Gaps()
    message = (
        b'<134>1 2024-09-18T16:06:50Z pod d1 main AICORE [aicore@32473 id="0123abcd-7.2" '
        b'pod="p"] id="secret"'
    )
    sink = SyslogSink(
        [Server("a", refuses=b"134")], lambda _: [message, b"next"], name="syslog", on_gap=gaps
    )
    await sink.open(None)
    for _ in range(4):
        with pytest.raises(TransientSinkError):
            await sink.write([lines("one")])
    await sink.write([lines("one")])
    await sink.aclose()

    assert [detail for _, _, detail in gaps] == [
        f"dropped record 0123abcd-7.2 of {len(message)} bytes: 500 no"
    ]


async def test_a_mark_is_returned_unchanged() -> None:
    sink = sink_to(Server("a"))
    mark = await sink.open(b"7")
    await sink.aclose()

    assert mark == b"7"
