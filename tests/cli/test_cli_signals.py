"""A signal ends `tailer logs` within seconds, also during a blocked write or request."""

import os
import signal
import socket
from collections.abc import Iterator
from io import FileIO

import pytest
from support.command_line import PATIENCE_S, World, running

SOON_S = 5.0
INTERRUPTS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
MUCH = ["x" * 1000] * 200  # more than any pipe takes


@pytest.fixture
def unread_pipe() -> Iterator[FileIO]:
    """The write end of a pipe whose read end is open and never read."""
    reader, writer = os.pipe()
    with FileIO(reader, "r"), FileIO(writer, "w") as writing:
        yield writing


@pytest.fixture
def silent_service() -> Iterator[socket.socket]:
    """It takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_S)
        yield listening


@pytest.mark.parametrize(("number", "code"), INTERRUPTS)
def test_it_ends_a_process_with_a_full_output_pipe(
    world: World, unread_pipe: FileIO, number: signal.Signals, code: int
) -> None:
    world.say(world.add(), *MUCH, ago_s=1)

    with world.running("logs", "-f", "deployment/d1234567", stdout=unread_pipe) as process:
        process.wait_for("phase=following", on="err")
        process.process.send_signal(number)
        ended = process.end(timeout_s=SOON_S)

    assert ended.code == code
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("number", "code"), INTERRUPTS)
def test_it_ends_a_process_with_pending_notices_for_a_full_pipe(
    world: World, unread_pipe: FileIO, number: signal.Signals, code: int
) -> None:
    """As in `tailer logs -f … 2>&1 | less`: a notice must not wait for room either."""
    target = world.add()
    os.set_blocking(unread_pipe.fileno(), False)
    while unread_pipe.write(b"x" * 4096) is not None:
        pass
    os.set_blocking(unread_pipe.fileno(), True)
    world.say(target, *MUCH, ago_s=1)
    words = ("logs", "-f", "deployment/d1234567")

    with world.running(*words, stdout=unread_pipe, stderr=unread_pipe) as process:
        world.wait_until_asked("logs", times=2)
        process.process.send_signal(number)
        ended = process.end(timeout_s=SOON_S)

    assert ended.code == code


@pytest.mark.parametrize(("number", "code"), INTERRUPTS)
def test_it_ends_the_search_for_a_target_at_a_service_that_does_not_answer(
    world: World, silent_service: socket.socket, number: signal.Signals, code: int
) -> None:
    port = silent_service.getsockname()[1]
    environ = {**world.environ, "AICORE_AUTH_URL": f"http://127.0.0.1:{port}"}

    with running("logs", "-f", "deployment/d1234567", environ=environ) as process:
        connection, _ = silent_service.accept()
        with connection:
            process.process.send_signal(number)
            ended = process.end(timeout_s=SOON_S)

    assert (ended.code, ended.out, ended.err.strip()) == (code, "", "")
