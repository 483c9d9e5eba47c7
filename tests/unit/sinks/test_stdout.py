"""Standard output as a pipe, terminal or file, also shared with other processes."""

import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import anyio
import pytest
from support.batches import lines

from tailer.errors import ReaderGoneError, SinkError
from tailer.sinks.formats.build import FormatSettings, Formatter, build_formatter
from tailer.sinks.stdout import StdoutSink

RAW = build_formatter(FormatSettings(format="raw"), [])
BIG = lines(*[f"{number:06d} {'x' * 200}" for number in range(5000)])


async def opened(fd: int, formatter: Formatter = RAW) -> StdoutSink:
    sink = StdoutSink(fd, formatter)
    await sink.open(None)
    return sink


@dataclass
class Pipe:
    reader: FileIO
    writer: FileIO


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with FileIO(reader, "r") as reading, FileIO(writer, "w") as writing:
        yield Pipe(reading, writing)


async def pieces_of(reader: int) -> AsyncIterator[bytes]:
    while True:
        await anyio.wait_readable(reader)
        piece = os.read(reader, 10_000)
        if not piece:
            return
        yield piece


async def test_a_batch_larger_than_the_pipe_arrives_whole_at_a_slow_reader(
    pipe: Pipe,
) -> None:
    sink = await opened(pipe.writer.fileno())
    received: list[bytes] = []

    async def read_slowly() -> None:
        async for piece in pieces_of(pipe.reader.fileno()):
            received.append(piece)
            await anyio.sleep(0.1)  # noqa: TID251 - of virtual time

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_slowly)
        await sink.write([BIG])
        await sink.aclose()
        pipe.writer.close()

    assert b"".join(received) == RAW(BIG)


async def test_other_tasks_run_while_the_pipe_is_full(pipe: Pipe) -> None:
    sink = await opened(pipe.writer.fileno())
    ticks = 0

    with anyio.move_on_after(10.5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.write, [BIG])
            while True:
                await anyio.sleep(1)  # noqa: TID251 - of virtual time
                ticks += 1

    assert ticks == 10
    await sink.aclose()


async def test_a_canceled_write_leaves_a_prefix_of_its_batch(
    pipe: Pipe,
) -> None:
    sink = await opened(pipe.writer.fileno())
    with anyio.move_on_after(1):
        await sink.write([BIG])
    left = pipe.reader.read(1_000_000)

    assert RAW(BIG).startswith(left)
    await sink.aclose()


@pytest.mark.parametrize("make", [os.pipe, pty.openpty, socket.socketpair])
async def test_the_shared_output_stays_blocking_for_other_processes(make: object) -> None:
    assert callable(make)
    ends = [end if isinstance(end, int) else end.detach() for end in make()]
    sink = await opened(ends[1])
    await sink.write([lines("one")])

    assert os.get_blocking(ends[1])
    await sink.aclose()
    for end in ends:
        os.close(end)


async def test_the_descriptor_stays_open_for_its_owner(pipe: Pipe) -> None:
    sink = await opened(pipe.writer.fileno())
    await sink.aclose()
    pipe.writer.write(b"still here\n")

    assert pipe.reader.read(100) == b"still here\n"


async def test_a_constructor_opens_nothing() -> None:
    sink = StdoutSink(987, RAW)

    with pytest.raises(SinkError, match="stdout is not open for writing"):
        await sink.open(None)


async def test_a_descriptor_that_is_open_for_reading_only_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.touch()
    with path.open("rb") as file:
        sink = await opened(file.fileno())

        with pytest.raises(SinkError, match="stdout is not open for writing"):
            await sink.write([lines("one")])
        await sink.aclose()


async def test_a_full_disk_is_a_failure_that_names_what_is_full() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    sink = await opened(full)

    with pytest.raises(SinkError, match="stdout cannot be written: No space left on device"):
        await sink.write([lines("one")])
    await sink.aclose()
    os.close(full)


async def test_dev_null_accepts_everything() -> None:
    void = os.open(os.devnull, os.O_WRONLY)
    sink = await opened(void)
    await sink.write([BIG])
    await sink.aclose()
    os.close(void)


async def test_a_file_is_written_at_the_shared_offset(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    with path.open("wb", buffering=0) as file:
        file.write(b"banner\n")
        sink = await opened(file.fileno())
        await sink.write([lines("one")])
        file.write(b"footer\n")

    assert path.read_bytes() == b"banner\none\nfooter\n"
    await sink.aclose()


async def test_a_reader_that_has_left_is_noticed_without_a_write(pipe: Pipe) -> None:
    sink = await opened(pipe.writer.fileno())

    async def leave_after_a_while() -> None:
        await anyio.sleep(60)  # noqa: TID251 - of virtual time
        pipe.reader.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_after_a_while)
        await sink.reader_gone()
        left_at_s = anyio.current_time()

    assert left_at_s == pytest.approx(60, abs=1)
    await sink.aclose()


async def test_a_reader_that_has_left_is_noticed_although_the_pipe_is_full(
    pipe: Pipe,
) -> None:
    sink = await opened(pipe.writer.fileno())
    gone = anyio.Event()

    async def watch() -> None:
        await sink.reader_gone()
        gone.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        with anyio.move_on_after(1):
            await sink.write([BIG])
        pipe.reader.close()
        await gone.wait()

    await sink.aclose()


@pytest.mark.parametrize("writes", [True, False])
async def test_a_slow_reader_is_not_taken_for_gone(pipe: Pipe, *, writes: bool) -> None:
    sink = await opened(pipe.writer.fileno())
    if writes:
        await sink.write([lines("one")])
    with anyio.move_on_after(3600) as patience:
        await sink.reader_gone()

    assert patience.cancelled_caught
    await sink.aclose()


async def test_a_file_has_no_reader_to_lose(tmp_path: Path) -> None:
    with (tmp_path / "out.log").open("wb") as file:
        sink = await opened(file.fileno())
        with anyio.move_on_after(3600) as patience:
            await sink.reader_gone()

    assert patience.cancelled_caught
    await sink.aclose()


async def test_a_named_pipe_without_a_reader_is_an_end(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    os.close(reader)
    sink = await opened(writer)

    with pytest.raises(ReaderGoneError, match="the reader of stdout has closed it"):
        await sink.write([lines("one")])
    await sink.aclose()
    os.close(writer)


async def test_a_terminal_shows_lines_from_their_first_column() -> None:
    reader, writer = pty.openpty()
    sink = await opened(writer)
    await sink.write([lines("one", "two")])
    shown = b""
    while shown.count(b"\n") < 2:
        await anyio.wait_readable(reader)
        shown += os.read(reader, 1000)

    assert shown == b"one\r\ntwo\r\n"
    await sink.aclose()
    os.close(writer)
    os.close(reader)


async def test_a_terminal_never_receives_an_escape_of_a_log_line() -> None:
    reader, writer = pty.openpty()
    tty.setraw(writer)
    formatter = build_formatter(FormatSettings(escape=True), [])
    sink = await opened(writer, formatter)
    await sink.write([lines("\x1b]0;owned\x07\x1b[2J")])
    shown = b""
    while not shown.endswith(b"\n"):
        await anyio.wait_readable(reader)
        shown += os.read(reader, 1000)

    assert shown == b"\\x1b]0;owned\\x07\\x1b[2J\n"
    await sink.aclose()
    os.close(writer)
    os.close(reader)
