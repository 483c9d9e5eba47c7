"""`tailer status` beside a running service, as processes."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command_line import World, run
from support.status_client import short_folder
from support.terminal import terminal

Write = Callable[..., Path]


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.fixture
def write_config(folder: Path) -> Write:
    """Writes a configuration with a file sink and a status page; gives its path."""

    def write(listen: str | None = None) -> Path:
        path = folder / "tailer.toml"
        path.write_text(
            f"""
[[watch]]
targets = ["deployment/d1234567"]
[poll]
interval_s = 0.2
[spool]
path = "{folder}/spool.db"
[status]
listen = "{f"unix:{folder}/s.sock" if listen is None else listen}"
[[sink]]
kind = "file"
path = "{folder}/logs/{{id}}.log"
""",
            encoding="utf-8",
        )
        return path

    return write


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_it_shows_targets_sinks_spool_and_gaps(world: World, write_config: Write) -> None:
    world.say(world.add(), "hello", ago_s=1)
    config = str(write_config())

    with world.running("run", "--config", config) as service:
        service.wait_for('"following"', on="err")
        ended = world.run("status", "--config", config)

    assert (ended.code, ended.err) == (0, "")
    for words in ("deployment/d1234567", "following", "file", "up", "spool: ", "gaps: none"):
        assert words in ended.out


def test_json_is_the_status_document_unchanged(
    world: World, write_config: Write, folder: Path
) -> None:
    world.add()
    with world.running("run", "--config", str(write_config())) as service:
        service.wait_for('"following"', on="err")
        ended = world.run("status", "-a", f"unix:{folder}/s.sock", "-o", "json")

    (seen,) = ended.json
    assert (seen["version"], seen["is_healthy"]) == (1, True)


def test_the_address_may_be_a_port(world: World, write_config: Write) -> None:
    world.add()
    address = f"127.0.0.1:{free_port()}"

    with world.running("run", "--config", str(write_config(address))) as service:
        service.wait_for('"following"', on="err")
        ended = world.run("status", "--address", address)

    assert ended.code == 0


def test_a_port_in_use_is_exit_code_2_with_the_remedy(world: World, write_config: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = world.run("run", "--config", str(write_config(address)))

    assert ended.code == 2
    assert ended.complaint.startswith(f"tailer: [status] listen: cannot listen on {address}")


def test_exit_code_is_4_without_a_running_service(folder: Path) -> None:
    ended = run("status", "-a", f"unix:{folder}/s.sock", environ={"HOME": str(folder)})

    assert ended.code == 4
    assert "no response from unix:" in ended.complaint
    assert "check that `tailer run` is running" in ended.complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-a", "localhost"], 'must be "HOST:PORT"'),
        (["--config", "nowhere.toml"], "nowhere.toml does not exist"),
        (["--watch", "-o", "json"], "--watch needs a terminal"),
        (["--watch"], "--watch needs a terminal"),
    ],
)
def test_exit_code_is_2_for_invalid_arguments(
    folder: Path, words: list[str], complaint: str
) -> None:
    ended = run("status", *words, environ={"HOME": str(folder)})

    assert ended.code == 2
    assert complaint in ended.complaint


def test_a_status_page_that_is_turned_off_is_reported(world: World, write_config: Write) -> None:
    ended = world.run("status", "--config", str(write_config("")))

    assert ended.code == 2
    assert "[status] listen is empty" in ended.complaint


def test_watch_ends_with_ctrl_c_and_restores_the_screen(world: World, write_config: Write) -> None:
    world.add()
    config = str(write_config())

    with (
        world.running("run", "--config", config) as service,
        terminal("status", "--watch", "--config", config, environ=world.environ) as screen,
    ):
        service.wait_for('"following"', on="err")
        screen.wait_for("following")
        screen.type("\x03")
        code = screen.end()

    assert code == 0
    assert screen.raw.count("\x1b[?1049h") == screen.raw.count("\x1b[?1049l") == 1
    assert "Traceback" not in screen.raw


def test_watch_continues_while_the_service_is_down(world: World, write_config: Write) -> None:
    world.add()
    config = str(write_config())

    with terminal("status", "--watch", "--config", config, environ=world.environ) as screen:
        screen.wait_for("no response from")
        with world.running("run", "--config", config):
            screen.wait_for("d1234567")
        screen.type("\x03")
        code = screen.end()

    assert code == 0
