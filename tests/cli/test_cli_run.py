"""`tailer run` as a process: start, rejected configurations, shutdown."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stress.live_service import lines_in
from support.command_line import PATIENCE_S, Serve, World, run

from tailer.model import Status, Target

SHUTDOWN_S = 5.0
MARGIN_S = 3.0  # the interpreter's own end, on a busy machine
LINE_FIELDS = ("timestamp", "pod", "container", "stream", "msg")

Write = Callable[..., Path]


@pytest.fixture
def busy(serve: Serve) -> World:
    """One target, which has just begun and has a lot to say."""
    world = serve(backlog_s=2.0)
    world.add(rate_per_s=200.0)
    return world


@pytest.fixture
def write_config(tmp_path: Path) -> Write:
    """Writes a configuration with a file sink; gives its path."""

    def write(more: str = "", *, name: str = "tailer.toml", logs: str = "logs") -> Path:
        path = tmp_path / name
        path.write_text(
            f"""
[[watch]]
targets = ["deployment/d1234567"]
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = 2.0
[spool]
path = "{tmp_path}/state/spool.db"
[status]
listen = ""
[daemon]
shutdown_timeout_s = {SHUTDOWN_S}
[[sink]]
kind = "file"
path = "{tmp_path}/{logs}/{{kind}}/{{id}}.log"
{more}
""",
            encoding="utf-8",
        )
        return path

    return write


def shown(world: World, target: Target) -> Counter[tuple[Any, ...]]:
    return Counter(
        (target.name, *(field_of(entry, name) for name in LINE_FIELDS))
        for entry in world.shown(target)
    )


def field_of(entry: dict[str, Any], name: str) -> Any:
    value = entry.get(name)
    return value.removesuffix("\n") if name == "msg" and isinstance(value, str) else value


def test_a_signal_under_load_ends_the_process_with_0_in_time(
    busy: World, write_config: Write
) -> None:
    with busy.running("run", "--config", str(write_config())) as process:
        process.wait_for('"following"', on="err")
        busy.wait_until_asked("logs", times=10)
        process.process.send_signal(signal.SIGTERM)
        ended = process.end(timeout_s=SHUTDOWN_S + MARGIN_S)

    assert ended.code == 0
    assert "Traceback" not in ended.err


def test_stopped_under_load_and_started_again_it_loses_and_repeats_nothing(
    busy: World, write_config: Write, tmp_path: Path
) -> None:
    (target,) = busy.call(lambda simulator: simulator.targets)
    words = ("run", "--config", str(write_config()))
    for number in (signal.SIGTERM, signal.SIGINT):
        with busy.running(*words) as process:
            asked = busy.call(lambda simulator: simulator.stats()["requests"].get("logs", 0))
            busy.wait_until_asked("logs", times=asked + 5)
            process.process.send_signal(number)
            process.end()

    busy.turn(target, Status.STOPPED)
    with busy.running(*words) as process:
        process.wait_for('"ended"', on="err")
        process.process.send_signal(signal.SIGTERM)
        process.end()

    written = lines_in(tmp_path / "logs")
    assert written == shown(busy, target)
    assert written.total() > 0


def test_json_is_one_object_a_line(world: World, write_config: Write) -> None:
    world.say(world.add(), "hello", ago_s=1)

    with world.running("run", "--config", str(write_config()), "--log-format", "json") as process:
        process.wait_for('"following"', on="err")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end()

    events = [json.loads(line) for line in ended.err.splitlines()]
    assert [event["event"] for event in events] == [
        "started",
        "target_phase",
        "stopping",
        "stopped",
    ]
    assert all({"timestamp", "level"} <= event.keys() for event in events)


def test_the_console_format_is_sentences(world: World, write_config: Write) -> None:
    world.add()
    words = ("run", "--config", str(write_config()), "--log-format", "console")

    with world.running(*words) as process:
        process.wait_for("following", on="err")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end()

    output = [line.partition(" ")[2] for line in ended.err.splitlines()]
    assert output == [
        "started: targets 1, sinks file",
        "deployment/d1234567: following",
        "stopping: polling stopped, flushing sinks",
        "stopped: every line is delivered",
    ]


def test_a_second_signal_ends_the_process_at_once(
    busy: World, write_config: Write, tmp_path: Path
) -> None:
    """The sink has a folder in place of its file, so it would wait until the timeout."""
    (tmp_path / "logs").write_text("in the way", encoding="utf-8")

    with busy.running("run", "--config", str(write_config())) as process:
        process.wait_for('"sink_', on="err")
        busy.wait_until_asked("logs", times=3)
        process.process.send_signal(signal.SIGTERM)
        process.wait_for('"stopping"', on="err")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end(timeout_s=SHUTDOWN_S / 2)

    assert ended.code == -signal.SIGTERM
    assert "Traceback" not in ended.err


def test_every_mistake_of_the_configuration_has_a_line_of_its_own(
    world: World, write_config: Write
) -> None:
    path = write_config('formt = "json"\nrotate_bytes = -1\n')

    ended = world.run("run", "--config", str(path))

    assert ended.code == 2
    assert len(ended.err.splitlines()) == 2
    assert all(f"{path}:" in line for line in ended.err.splitlines())
    assert "Traceback" not in ended.err


def test_without_a_configuration_the_searched_paths_are_named(world: World) -> None:
    ended = world.run("run")

    assert ended.code == 2
    for place in ("--config", "$TAILER_CONFIG", "./tailer.toml", "/etc/tailer/config.toml"):
        assert place in ended.complaint


def test_a_second_process_on_the_same_spool_is_rejected(world: World, write_config: Write) -> None:
    world.add()
    words = ("run", "--config", str(write_config()))

    with world.running(*words) as process:
        process.wait_for('"following"', on="err")
        ended = world.run(*words)

    assert ended.code == 2
    assert f"in use by process {process.process.pid}" in ended.complaint


def test_with_strict_a_sink_that_fails_to_open_ends_the_process(
    world: World, write_config: Write, tmp_path: Path
) -> None:
    world.add()
    (tmp_path / "logs").write_text("in the way", encoding="utf-8")

    ended = world.run("run", "--config", str(write_config()), "--strict")

    assert ended.code == 5
    assert str(tmp_path / "logs") in ended.err.splitlines()[-1]


def test_wrong_credentials_end_the_process(serve: Serve, write_config: Write) -> None:
    world = serve()
    world.environ["AICORE_AUTH_URL"] += "/no-such-path"

    ended = world.run("run", "--config", str(write_config()))

    assert ended.code == 3


def test_the_help_lists_the_exit_codes(tmp_path: Path) -> None:
    ended = run("run", "--help", environ={"HOME": str(tmp_path)}, timeout_s=PATIENCE_S)

    assert ended.code == 0
    assert "a second signal exits at once" in ended.out.replace("\n", " ")
