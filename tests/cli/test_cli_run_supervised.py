"""`tailer run` under systemd: READY, STATUS, WATCHDOG and STOPPING notifications."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import PATIENCE_S, World, running

CONFIG = """
[[watch]]
targets = ["deployment/d1234567"]
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = 2.0
[spool]
path = "{folder}/state/spool.db"
[status]
listen = ""
[daemon]
shutdown_timeout_s = 5.0
[[sink]]
kind = "file"
path = "{folder}/logs/{{id}}.log"
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(f"{tmp_path}/notify")
        opened.settimeout(PATIENCE_S)
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "tailer.toml"
    path.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return str(path)


def environ(world: World, tmp_path: Path) -> dict[str, str]:
    return {
        **world.environ,
        "NOTIFY_SOCKET": f"{tmp_path}/notify",
        "WATCHDOG_USEC": "1000000",
    }


def received_up_to(supervisor: socket.socket, beginning: str) -> list[str]:
    """All notifications up to the first one with this prefix."""
    received: list[str] = []
    while not received or not received[-1].startswith(beginning):
        received.append(supervisor.recv(4096).decode())
    return received


def test_it_sends_ready_status_watchdog_and_stopping(
    world: World, config: str, supervisor: socket.socket, tmp_path: Path
) -> None:
    world.add()

    with running("run", "--config", config, environ=environ(world, tmp_path)) as process:
        received = received_up_to(supervisor, "STATUS=targets: 1 following; undelivered: nothing")
        received += received_up_to(supervisor, "WATCHDOG=1")
        process.process.send_signal(signal.SIGTERM)
        ending = received_up_to(supervisor, "STOPPING=1")
        ended = process.end()

    assert received.count("READY=1") == 1
    assert not any(text.startswith("STOPPING") for text in received)
    assert ending[-1] == "STOPPING=1"
    assert ended.code == 0


def test_it_is_ready_while_the_service_is_down(
    world: World, config: str, supervisor: socket.socket, tmp_path: Path
) -> None:
    """An outage of AI Core must not make the boot of the machine fail."""
    world.add()
    world.break_down()

    with running("run", "--config", config, environ=environ(world, tmp_path)) as process:
        received_up_to(supervisor, "READY=1")
        received_up_to(supervisor, "WATCHDOG=1")
        received_up_to(supervisor, "WATCHDOG=1")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end()

    assert ended.code == 0


def test_it_is_not_ready_with_an_invalid_configuration(
    world: World, config: str, supervisor: socket.socket, tmp_path: Path
) -> None:
    Path(config).write_text("[poll]\nintervall_s = 1\n", encoding="utf-8")

    with running("run", "--config", config, environ=environ(world, tmp_path)) as process:
        ended = process.end()
    supervisor.settimeout(0.1)

    assert ended.code == 2
    with pytest.raises(TimeoutError):
        supervisor.recv(4096)
