"""`--summary`: the result as JSON for the next step of a pipeline, after every kind of exit."""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.command_line import Serve, World, lived, shell
from support.long import long_after

from tailer.model import Kind, Status
from tailer.simulator import Dialect, Fault

A_DAY_AGO_S = -86_400.0
FOLLOW = ("logs", "-f", "-q", "--since", "2d", "--lateness", "2s", "--drain", "1s")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder / "summary.json"


def read(file: Path) -> dict[str, Any]:
    """Its content; nothing else may be left beside it."""
    assert [one.name for one in file.parent.iterdir()] == ["summary.json"]
    summary: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    return summary


def test_it_has_all_documented_fields(world: World, file: Path) -> None:
    file.write_text("old")
    life = lived((A_DAY_AGO_S - 60, Status.RUNNING), (A_DAY_AGO_S, Status.DEAD))
    target = world.add(Kind.EXECUTION, "e1234567", life=life, end_message="no memory")
    world.say(target, "one", "two", ago_s=-A_DAY_AGO_S + 1)
    times = [entry["timestamp"][:19] for entry in world.shown(target)]

    world.run(*FOLLOW, "-i", "o", "--summary", str(file), "execution/e1234567")

    summary = read(file)
    started_at, duration_s = summary.pop("started_at"), summary.pop("duration_s")
    assert started_at.endswith("Z")
    assert 0 < duration_s < 60
    for one in (summary, summary["targets"][0]):
        assert one.pop("first_timestamp")[:19] == times[0]
        assert one.pop("last_timestamp")[:19] == times[-1]
    assert summary == {
        "version": 1,
        "verdict": "DEAD",
        "exit_code": 10,
        "lines": 2,
        "late_lines": 0,
        "requests": world.requests("get") + world.requests("logs"),
        "retries": 0,
        "errors": [],
        "gaps": [],
        "targets": [
            {
                "target": "execution/e1234567",
                "resource_group": "default",
                "status": "DEAD",
                "status_message": "no memory",
                "lines": 2,
                "late_lines": 0,
                "gaps": [],
            }
        ],
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_is_written_after_a_signal(
    world: World, file: Path, number: signal.Signals, code: int
) -> None:
    world.say(world.add(Kind.EXECUTION, "e1234567"), "one")

    with world.running(*FOLLOW, "--summary", str(file), "execution/e1234567") as process:
        process.wait_for("one\n")
        process.process.send_signal(number)
        ended = process.end(timeout_s=5)

    summary = read(file)
    assert (ended.code, summary["exit_code"], summary["verdict"]) == (code, code, "INTERRUPTED")
    assert (summary["lines"], summary["targets"][0]["status"]) == (1, "RUNNING")


@pytest.mark.parametrize(
    ("words", "verdict", "code"),
    long_after(
        3,
        [
            (("--timeout", "1s", "execution/e1234567"), "TIMEOUT", 124),
            (("--max-lines", "1", "execution/e1234567"), "MAX_LINES", 0),
            (("execution/e7654321",), "FAILED", 4),
            (("--wait", "1s", "execution/e7654321"), "FAILED", 4),
            (("--no-follow", "execution/e1234567"), "DONE", 0),
            (("-g", "elsewhere", "execution/e1234567"), "FAILED", 4),
            (("--tee", "/dev/full", "--no-follow", "execution/e1234567"), "FAILED", 5),
        ],
    ),
)
def test_it_is_written_after_every_kind_of_exit(
    world: World, file: Path, words: tuple[str, ...], verdict: str, code: int
) -> None:
    world.say(world.add(Kind.EXECUTION, "e1234567"), "one", ago_s=1)

    ended = world.run(*FOLLOW, "--summary", str(file), *words)

    summary = read(file)
    assert (ended.code, summary["exit_code"], summary["verdict"]) == (code, code, verdict)
    assert bool(summary["errors"]) is (verdict == "FAILED")


def test_it_is_written_without_credentials(world: World, file: Path) -> None:
    ended = shell(
        f"env -i HOME=$HOME PATH=$PATH $tailer logs d1234567 --summary {file}",
        environ=world.environ,
    )

    assert (ended.code, read(file)["verdict"], read(file)["exit_code"]) == (3, "FAILED", 3)


def test_it_is_written_after_the_reader_has_left(world: World, file: Path) -> None:
    world.say(world.add(), "one", ago_s=1)

    ended = shell(f"$tailer logs -q -f d1234567 --summary {file} | head -1", environ=world.environ)

    assert (ended.code, read(file)["verdict"]) == (0, "READER_GONE")


def test_it_names_the_gaps(serve: Serve, file: Path) -> None:
    world = serve(dialect=Dialect(resolution="ms"))
    world.saturated(world.add(), 13_000, ago_s=100)

    world.run("logs", "-q", "--summary", str(file), "deployment/d1234567")

    summary = read(file)
    (gap,) = summary["gaps"]
    assert (summary["verdict"], summary["exit_code"], summary["lines"]) == ("GAP", 6, 10_000)
    assert (gap["target"], gap["reason"]) == ("deployment/d1234567", "saturated")
    assert gap["start"] < gap["end"]
    assert summary["targets"][0]["gaps"] == [gap]


def test_it_counts_retried_requests(world: World, file: Path) -> None:
    world.say(world.add(), "one", ago_s=1)
    world.call(lambda simulator: simulator.fail_next(Fault.BAD_GATEWAY, on=["logs"], count=2))

    world.run("logs", "--summary", str(file), "deployment/d1234567")

    assert (read(file)["requests"], read(file)["retries"]) == (4, 2)


def test_it_can_be_written_to_standard_error(world: World) -> None:
    world.add()

    ended = world.run("logs", "-q", "--summary", "/dev/stderr", "deployment/d1234567")

    assert msgspec.json.decode(ended.err)["verdict"] == "DONE"


def test_an_unwritable_path_is_reported_at_the_start(world: World, tmp_path: Path) -> None:
    ended = world.run("logs", "--summary", str(tmp_path / "no" / "such"), "d1234567")

    assert ended.code == 5
    assert f"{tmp_path / 'no'} does not exist" in ended.complaint
    assert world.requests("token") == 0


def test_a_path_that_becomes_unwritable_is_reported(world: World, file: Path) -> None:
    world.say(world.add(), "one")

    with world.running("logs", "-f", "--timeout", "3s", "--summary", str(file), "d1234567") as one:
        one.wait_for("one\n")
        file.parent.rmdir()
        ended = one.end()

    assert ended.code == 124
    assert f"--summary {file} cannot be written: No such file or directory" in ended.err


def test_the_file_of_standard_output_is_rejected(world: World, file: Path) -> None:
    ended = shell(f"$tailer logs d1 --summary {file} > {file}", environ=world.environ)

    assert ended.code == 2
    assert "is the file that standard output goes to" in ended.complaint


def test_a_name_of_maximum_length_works(world: World, tmp_path: Path) -> None:
    world.add()
    file = tmp_path / ("x" * 250)

    assert world.run("logs", "deployment/d1234567", "--summary", str(file)).code == 0
    assert msgspec.json.decode(file.read_bytes())["verdict"] == "DONE"


@pytest.mark.parametrize("name", ["loop", "x" * 300])
def test_a_dangling_path_is_reported_at_the_start(world: World, tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")

    ended = world.run("logs", "--summary", str(tmp_path / name), "d1234567")

    assert ended.code == 5
    assert "cannot be written" in ended.complaint
    assert world.requests("token") == 0


def test_a_named_pipe_without_a_reader_does_not_block(world: World, tmp_path: Path) -> None:
    world.add()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    ended = world.run("logs", "-q", "deployment/d1234567", "--summary", str(pipe))

    assert ended.code == 5
    assert f"--summary {pipe} cannot be written" in ended.err


def test_it_can_be_written_to_a_named_pipe(world: World, tmp_path: Path) -> None:
    world.add()

    ended = shell(
        f"mkfifo {tmp_path}/pipe; cat {tmp_path}/pipe & "
        f"$tailer logs -q deployment/d1234567 --summary {tmp_path}/pipe; wait",
        environ=world.environ,
    )

    assert msgspec.json.decode(ended.out)["verdict"] == "DONE"
