"""Shell completion of ids and names: immediate, or silently empty."""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.command_line import PATIENCE_S, TAILER, Ended, World, lived, run
from support.long import long_after, long_values_after
from support.terminal import TAB, terminal

from tailer.clock import SystemClock
from tailer.model import Kind, Status
from tailer.timestamp import NS_PER_S

SOON_S = 4.0  # to start a process on a busy machine, and to ask for 1.3 s at most
ENDED = lived((-50, Status.RUNNING), (-5, Status.DEAD))

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")


@pytest.fixture
def populated(world: World) -> World:
    world.add(Kind.DEPLOYMENT, "d1234567", scenario_id="prices", executable_id="serve")
    world.add(Kind.DEPLOYMENT, "d0000000", life=ENDED)
    world.add(Kind.EXECUTION, "e1234567", executable_id="train")
    world.add(Kind.DEPLOYMENT, "d7654321", resource_group="team-a")
    return world


AS_SHIPPED = {"TAILER_COMPLETION_TIMEOUT_S": ""}


def asked(environ: Mapping[str, str], line: str, *, wanted_by: str = "bash") -> Ended:
    """What the completion script gets when the cursor is at the end of `line`."""
    words = line.split(" ")
    completing = {
        "_TAILER_COMPLETE": f"{wanted_by}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if wanted_by == "fish" else str(len(words) - 1),
    }
    patient = {"TAILER_COMPLETION_TIMEOUT_S": "30", **environ}  # a busy machine is no failure
    return run(environ=patient, more_environ=completing)


def offered(environ: Mapping[str, str], line: str) -> list[str]:
    ended = asked(environ, line)
    assert (ended.code, ended.err) == (0, "")
    return [text.partition(",")[2] for text in ended.lines if text]


@pytest.mark.parametrize(
    ("line", "values"),
    long_after(
        6,
        [
            ("tailer logs ", "deployment/d1234567 execution/e1234567 deployment/d0000000"),
            ("tailer logs -f dep", "deployment/d1234567 deployment/d0000000"),
            ("tailer logs -f d", "deployment/d1234567 deployment/d0000000"),
            ("tailer logs -f d1", "d1234567"),
            ("tailer logs execution/", "execution/e1234567"),
            ("tailer logs deployments/d1", "deployments/d1234567"),
            ("tailer logs deployment/d1234567 deployment/", "deployment/d0000000"),
            ("tailer logs model/", ""),
            ("tailer logs -g team-a d", "deployment/d7654321"),
            ("tailer logs -A d7", "d7654321"),
            ("tailer logs -g ", "default team-a"),
            ("tailer list -g t", "team-a"),
            ("tailer list --scenario ", "churn prices"),
            ("tailer list --executable ", "serve train inference"),
            ("tailer list --configuration tr", "train-configuration"),
            ("tailer logs --scenario p", "prices"),
            ("tailer logs --executable=s", "serve"),
            ("tailer logs --configuration ", "serve-configuration train-configuration"),
        ],
    ),
)
def test_ids_and_names_of_the_service_are_completed(
    populated: World, line: str, values: str
) -> None:
    shown = offered(populated.environ, line)

    assert shown[: len(values.split())] == values.split()
    assert bool(shown) == bool(values)


@pytest.mark.parametrize(
    "name",
    long_values_after(3, ["a b", "$(touch x)", "`id`", "*", "a,b", "a\nb", "-f", "\x1b[2J", "ü"]),
)
def test_a_name_with_shell_metacharacters_is_not_completed(world: World, name: str) -> None:
    world.add(scenario_id=name)
    world.add(name="d2222222", scenario_id="harmless-1.0")

    assert offered(world.environ, "tailer list --scenario ") == ["harmless-1.0"]


def test_zsh_gets_status_and_scenario_as_a_description(populated: World) -> None:
    ended = asked(populated.environ, "tailer logs d1", wanted_by="zsh")

    assert ended.lines == ["plain", "d1234567", "RUNNING prices"]


def test_fish_gets_status_and_scenario_as_a_description(populated: World) -> None:
    ended = asked(populated.environ, "tailer logs d1", wanted_by="fish")

    assert ended.lines == ["plain,d1234567\tRUNNING prices"]


def test_a_description_cannot_break_out_of_its_line(world: World) -> None:
    world.add(scenario_id="a\nplain\nevil\t,\x1b[2J:x")

    ended = asked(world.environ, "tailer logs d1", wanted_by="zsh")

    assert ended.lines == ["plain", "d1234567", "RUNNING a?plain?evil????2J?x"]


def cached_files(world: World) -> list[Path]:
    return [*(Path(world.environ["HOME"]) / ".cache" / "tailer").iterdir()]


def test_the_service_is_requested_once_for_several_completions(populated: World) -> None:
    first = offered(populated.environ, "tailer logs d")
    lists = populated.requests("list")

    second = offered(populated.environ, "tailer logs de")

    assert (second, populated.requests("list")) == (first, lists)


def test_the_cache_expires_within_seconds(populated: World) -> None:
    offered(populated.environ, "tailer logs d")
    (cached,) = cached_files(populated)
    long_ago_ns = SystemClock().wall_ns() - 10 * NS_PER_S
    os.utime(cached, ns=(long_ago_ns, long_ago_ns))
    populated.add(name="d8888888")

    assert "deployment/d8888888" in offered(populated.environ, "tailer logs d")


def test_the_cache_is_readable_only_by_its_owner_and_has_no_secret(populated: World) -> None:
    offered(populated.environ, "tailer logs d")
    (cached,) = cached_files(populated)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (cached, cached.parent)]
    secret = populated.environ["AICORE_CLIENT_SECRET"]
    assert modes == [0o600, 0o700]
    assert secret not in cached.read_text()
    assert "token" not in cached.read_text().lower()


def test_the_cache_is_in_the_xdg_directory(populated: World, tmp_path: Path) -> None:
    environ = {**populated.environ, "XDG_CACHE_HOME": str(tmp_path / "elsewhere")}

    offered(environ, "tailer logs d")

    assert len([*(tmp_path / "elsewhere" / "tailer").iterdir()]) == 1
    assert not (tmp_path / ".cache").exists()


def test_without_a_writable_directory_nothing_is_cached(populated: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {**populated.environ, "XDG_CACHE_HOME": str(tmp_path / "file")}

    assert "deployment/d1234567" in offered(environ, "tailer logs d")


@pytest.mark.parametrize(
    "damage",
    long_values_after(
        2,
        [
            b"\xff\xfe",
            b'{"kind":"deployment"}\n',
            b"[]\n\n{",
            b'{"id":"\xff"}',
            b'{"odd":' + b"[" * 100_000,
        ],
    ),
)
def test_a_damaged_cache_completes_nothing(populated: World, damage: bytes) -> None:
    offered(populated.environ, "tailer logs d")
    (cached,) = cached_files(populated)
    cached.write_bytes(damage)

    assert offered(populated.environ, "tailer logs d") == []


def without_credentials(world: World) -> Mapping[str, str]:
    return {"HOME": world.environ["HOME"]}


def with_a_wrong_address(world: World) -> Mapping[str, str]:
    return {**world.environ, "AICORE_BASE_URL": "http://127.0.0.1:9/v2"}


def with_a_broken_service(world: World) -> Mapping[str, str]:
    world.break_down()
    return {**world.environ, **AS_SHIPPED}


def with_a_key_that_is_none(world: World) -> Mapping[str, str]:
    return {"HOME": world.environ["HOME"], "AICORE_SERVICE_KEY": "{"}


@pytest.mark.parametrize(
    "missing",
    [without_credentials, with_a_wrong_address, with_a_broken_service, with_a_key_that_is_none],
)
def test_with_missing_settings_completion_is_silently_empty(
    populated: World, missing: Callable[[World], Mapping[str, str]]
) -> None:
    assert offered(missing(populated), "tailer logs d") == []


def test_completion_does_not_wait_for_a_silent_service(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {**world.environ, "AICORE_AUTH_URL": address, **AS_SHIPPED}
        began_ns = SystemClock().wall_ns()

        values = offered(environ, "tailer logs d")

        took_s = (SystemClock().wall_ns() - began_ns) / NS_PER_S
    assert values == []
    assert took_s < SOON_S


@pytest.fixture
def on_path(populated: World, tmp_path: Path) -> dict[str, str]:
    """An environment in which `tailer` is a command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "tailer"
    command.write_text(f'#!/bin/sh\nexec {" ".join(TAILER)} "$@"\n')
    command.chmod(0o700)
    environ = {**populated.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    return {**environ, "PATH": f"{folder}:{environ['PATH']}"}


def replies(line: str, environ: Mapping[str, str]) -> list[str]:
    """What bash itself would offer."""
    words = " ".join(f"'{word}'" for word in line.split(" "))
    script = f"""
        eval "$(tailer completion bash)"
        COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $(complete -p tailer | sed 's/.*-F \\([^ ]*\\).*/\\1/') tailer
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@needs_bash
@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("tailer logs -f deployment/", ["deployment/d1234567", "deployment/d0000000"]),
        ("tailer logs -g team-a dep", ["deployment/d7654321"]),
        ("tailer list --scenario pri", ["prices"]),
    ],
)
def test_bash_completes_values(on_path: dict[str, str], line: str, values: list[str]) -> None:
    assert replies(line, on_path) == values


@needs_bash
def test_tab_completes_an_id_in_bash(on_path: dict[str, str]) -> None:
    with terminal("--norc", "-i", environ=on_path, command=("bash",)) as opened:
        opened.type('eval "$(tailer completion bash)"; echo ready | tr a-z A-Z\n')
        opened.wait_for("READY")
        opened.type(f"echo tailer; tailer logs -f execution/{TAB}")
        screen = opened.wait_for("execution/e1234567")

    assert "tailer logs -f execution/e1234567" in screen


@needs_zsh
def test_tab_completes_an_id_in_zsh(on_path: dict[str, str]) -> None:
    with terminal("-f", "-i", environ=on_path, command=("zsh",)) as opened:
        opened.type('autoload -U compinit; compinit -u -D; eval "$(tailer completion zsh)"\n')
        opened.type("echo ready | tr a-z A-Z\n")
        opened.wait_for("READY")
        opened.type(f"tailer logs -f execution/{TAB}")
        opened.wait_for("execution/e1234567")


@needs_fish
def test_fish_completes_values(on_path: dict[str, str]) -> None:
    script = "tailer completion fish | source; complete --do-complete 'tailer logs -f exec'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=on_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert done.stdout == "execution/e1234567\tRUNNING churn\n"
