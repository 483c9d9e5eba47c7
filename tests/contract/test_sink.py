"""The contract of a sink (`tailer/sinks/contract.py`), tested on the fake and on real sinks."""

import os
import pty
import select
import socket
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from support.batches import lines
from support.bounded_sink import MemorySink

from tailer.clock import SystemClock
from tailer.config import SyslogSection
from tailer.errors import ReaderGoneError
from tailer.sinks.contract import Sink
from tailer.sinks.file.sink import FileSink
from tailer.sinks.formats.build import FormatSettings, build_formatter
from tailer.sinks.stdout import StdoutSink
from tailer.sinks.syslog.build import build_syslog_sink
from tailer.sinks.syslog.sink import SyslogSink

MORE_THAN_FITS = lines(*["x" * 1000] * 2000)
_PATIENCE_S = 10  # real seconds, spent only when the test is about to fail


@dataclass
class Rig:
    """`read_back` gives the next lines out of the sink, at least as many as asked for."""

    sink: Sink
    read_back: Callable[[int], list[str]]
    lose_reader: Callable[[], None]


def over(fd: int, *, fd_directory: str = "/proc/self/fd") -> StdoutSink:
    formatter = build_formatter(FormatSettings(format="raw"), [])
    return StdoutSink(fd, formatter, fd_directory=fd_directory)


def read_lines(fd: int, count: int) -> list[str]:
    page = b""
    while page.count(b"\n") < count and select.select([fd], [], [], _PATIENCE_S)[0]:
        page += os.read(fd, 65_536)
    return page.decode().splitlines()


@contextmanager
def memory(_: Path) -> Iterator[Rig]:
    sink = MemorySink()
    yield Rig(sink, lambda _: sink.take(), sink.lose_reader)


@contextmanager
def both_ends(reader: int, writer: int, *, fd_directory: str = "/proc/self/fd") -> Iterator[Rig]:
    ends = {reader, writer}

    def lose_reader() -> None:
        ends.remove(reader)
        os.close(reader)

    yield Rig(
        over(writer, fd_directory=fd_directory),
        lambda count: read_lines(reader, count),
        lose_reader,
    )
    for end in ends:
        os.close(end)


@contextmanager
def pipe(_: Path) -> Iterator[Rig]:
    with both_ends(*os.pipe()) as rig:
        yield rig


@contextmanager
def pipe_without_proc(tmp_path: Path) -> Iterator[Rig]:
    with both_ends(*os.pipe(), fd_directory=str(tmp_path / "nothing")) as rig:
        yield rig


@contextmanager
def terminal(_: Path) -> Iterator[Rig]:
    reader, writer = pty.openpty()
    tty.setraw(writer)  # or newlines come back as two characters
    with both_ends(reader, writer) as rig:
        yield rig


@contextmanager
def socket_pair(_: Path) -> Iterator[Rig]:
    reader, writer = socket.socketpair()
    with both_ends(reader.detach(), writer.detach()) as rig:
        yield rig


@contextmanager
def regular_file(tmp_path: Path) -> Iterator[Rig]:
    path = tmp_path / "out.log"
    writer = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    reader = os.open(path, os.O_RDONLY)
    with both_ends(reader, writer) as rig:
        yield rig


@contextmanager
def file_sink(tmp_path: Path) -> Iterator[Rig]:
    path = tmp_path / "logs" / "out.log"
    formatter = build_formatter(FormatSettings(format="raw"), [])
    sink = FileSink(
        str(path), formatter, name="file", clock=SystemClock(), on_gap=lambda *_: pytest.fail("gap")
    )
    taken = 0

    def read_back(_: int) -> list[str]:
        nonlocal taken
        found = path.read_text().splitlines()[taken:]
        taken += len(found)
        return found

    yield Rig(sink, read_back, lambda: None)


def syslog_sink(server: socket.socket, scheme: str) -> SyslogSink:
    return build_syslog_sink(
        SyslogSection(url=(f"{scheme}://127.0.0.1:{server.getsockname()[1]}",), framing="lf"),
        name="syslog",
        clock=SystemClock(),
        scenario_of=lambda _: "",
        on_gap=lambda *_: pytest.fail("gap"),
    )


def text_of(message: bytes) -> str:
    return message.decode().partition("] ")[2]


@contextmanager
def syslog_over_udp(_: Path) -> Iterator[Rig]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(_PATIENCE_S)

        def read_back(count: int) -> list[str]:
            return [text_of(server.recv(65_536)) for _ in range(count)]

        yield Rig(syslog_sink(server, "udp"), read_back, lambda: None)


@contextmanager
def syslog_over_tcp(_: Path) -> Iterator[Rig]:
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        readers = [server]

        def read_back(count: int) -> list[str]:
            messages: list[bytes] = []
            while len(messages) < count and (
                ready := select.select(readers, [], [], _PATIENCE_S)[0]
            ):
                for reader in ready:
                    if reader is server:
                        readers.append(opened.enter_context(server.accept()[0]))
                    elif received := reader.recv(65_536):
                        messages += received.splitlines()
                    else:
                        readers.remove(reader)
            return [text_of(message) for message in messages]

        yield Rig(syslog_sink(server, "tcp"), read_back, lambda: None)


READ_BY_SOMEBODY = [memory, pipe, pipe_without_proc, terminal, socket_pair]
ALL = [*READ_BY_SOMEBODY, regular_file, file_sink, syslog_over_udp, syslog_over_tcp]


@pytest.fixture(params=ALL, ids=lambda make: make.__name__)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with request.param(tmp_path) as rig:
        yield rig


@pytest.fixture(params=READ_BY_SOMEBODY, ids=lambda make: make.__name__)
def rig_with_reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with request.param(tmp_path) as rig:
        yield rig


async def test_lines_are_handed_over_when_write_returns(rig: Rig) -> None:
    await rig.sink.open(None)
    await rig.sink.write([lines("one", "two")])

    assert rig.read_back(2) == ["one", "two"]
    await rig.sink.aclose()


async def test_batches_are_written_in_order(rig: Rig) -> None:
    await rig.sink.open(None)
    await rig.sink.write([lines("one")])
    await rig.sink.write([lines("two")])
    await rig.sink.write([lines("three")])

    assert rig.read_back(3) == ["one", "two", "three"]
    await rig.sink.aclose()


async def test_batches_of_one_write_are_written_in_order(rig: Rig) -> None:
    await rig.sink.open(None)
    await rig.sink.write([lines("one", "two"), lines("three"), lines(), lines("four")])
    await rig.sink.write([lines("five")])

    assert rig.read_back(5) == ["one", "two", "three", "four", "five"]
    await rig.sink.aclose()


async def test_a_batch_without_lines_is_accepted_and_changes_nothing(rig: Rig) -> None:
    await rig.sink.open(None)
    await rig.sink.write([lines()])
    await rig.sink.write([lines("one")])

    assert rig.read_back(1) == ["one"]
    await rig.sink.aclose()


async def test_a_sink_resumes_from_its_mark(rig: Rig) -> None:
    await rig.sink.open(None)
    mark = await rig.sink.write([lines("one")])
    await rig.sink.aclose()
    await rig.sink.open(mark)
    await rig.sink.write([lines("two")])

    assert rig.read_back(2) == ["one", "two"]
    await rig.sink.aclose()


async def test_closing_twice_or_before_opening_is_harmless(rig: Rig) -> None:
    await rig.sink.aclose()
    await rig.sink.open(None)
    await rig.sink.write([lines("one")])
    await rig.sink.aclose()
    await rig.sink.aclose()

    assert rig.read_back(1) == ["one"]


async def test_a_blocked_write_is_canceled_at_once(rig_with_reader: Rig) -> None:
    await rig_with_reader.sink.open(None)
    with anyio.move_on_after(5) as waiting:
        await rig_with_reader.sink.write([MORE_THAN_FITS])

    assert waiting.cancelled_caught
    await rig_with_reader.sink.aclose()


async def test_a_reader_that_has_left_is_an_end_and_not_a_failure(rig_with_reader: Rig) -> None:
    await rig_with_reader.sink.open(None)
    await rig_with_reader.sink.write([lines("one")])
    rig_with_reader.lose_reader()

    with pytest.raises(ReaderGoneError):
        await rig_with_reader.sink.write([lines("two")])
    await rig_with_reader.sink.aclose()


async def test_a_reader_that_leaves_unblocks_the_write(
    rig_with_reader: Rig,
) -> None:
    await rig_with_reader.sink.open(None)

    async def leave_after_a_while() -> None:
        await anyio.sleep(1)  # noqa: TID251 - of virtual time
        rig_with_reader.lose_reader()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_after_a_while)
        with pytest.raises(ReaderGoneError):
            await rig_with_reader.sink.write([MORE_THAN_FITS])
    await rig_with_reader.sink.aclose()
