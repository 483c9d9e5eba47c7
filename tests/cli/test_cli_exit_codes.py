"""Every exit code of the table, as a shell sees it."""

import signal
import sys

import pytest
from support.command_line import Serve, World, lived, shell

from tailer.cli.main import _exit_code_after
from tailer.model import Kind, Status
from tailer.simulator import Dialect

A_DAY_AGO_S = -86_400.0
ENDED = ("--since", "2d", "--lateness", "2s", "--drain", "1s")


def test_it_is_0_after_lines_were_printed(world: World) -> None:
    target = world.add()
    world.say(target, "one", "two", ago_s=5)

    ended = world.run("logs", "deployment/d1234567")

    assert (ended.code, ended.lines, ended.err) == (0, ["one", "two"], "")


def test_it_is_1_with_a_traceback_after_an_internal_error() -> None:
    bugs = ExceptionGroup("tasks", [ZeroDivisionError("a bug")])

    with pytest.raises(ExceptionGroup) as raised:
        _exit_code_after(bugs)

    assert raised.value is bugs


def test_it_is_2_after_a_mistake_in_the_flags(world: World) -> None:
    ended = world.run("logs", "--no-such-flag")

    assert ended.code == 2
    assert ended.complaint == ("tailer: No such option '--no-such-flag' (see tailer logs --help)")


def test_it_is_3_without_credentials(world: World) -> None:
    ended = shell("env -i HOME=$HOME PATH=$PATH $tailer list", environ=world.environ)

    assert ended.code == 3


def test_it_is_4_when_there_is_no_such_target(world: World) -> None:
    ended = world.run("logs", "deployment/d7654321")

    assert ended.code == 4
    assert "no deployment d7654321 in resource group default" in ended.complaint


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("words", ["logs -s 1m deployment/d1234567", "list", "--help"])
def test_it_is_5_when_the_disk_is_full(world: World, words: str) -> None:
    world.say(world.add(), "one", ago_s=5)

    ended = shell(f"$tailer {words} > /dev/full", environ=world.environ)

    assert ended.code == 5
    assert "No space left on device" in ended.complaint


def test_it_is_6_when_an_instant_holds_more_lines_than_the_service_shows(serve: Serve) -> None:
    """All lines differ: identical lines at both ends of the instant would be ambiguous."""
    world = serve(dialect=Dialect(resolution="ms"))
    world.saturated(world.add(), 13_000, ago_s=100)

    ended = world.run("logs", "-o", "json", "deployment/d1234567")

    assert (ended.code, len(ended.lines)) == (6, 10_000)
    assert ended.err.count("event=gap") == 1
    assert "reason=saturated" in ended.err


@pytest.mark.parametrize(
    ("status", "code"), [(Status.COMPLETED, 0), (Status.DEAD, 10), (Status.STOPPED, 11)]
)
def test_it_is_the_verdict_of_an_execution_that_ended_before(
    world: World, status: Status, code: int
) -> None:
    life = lived((A_DAY_AGO_S - 60, Status.RUNNING), (A_DAY_AGO_S, status))
    target = world.add(Kind.EXECUTION, "e1234567", life=life)
    world.say(target, "last words", ago_s=-A_DAY_AGO_S + 1)

    ended = world.run("logs", "-f", *ENDED, "execution/e1234567")

    assert (ended.code, ended.lines) == (code, ["last words"])


def test_it_is_the_verdict_of_an_execution_that_ends_while_it_is_followed(world: World) -> None:
    target = world.add(Kind.EXECUTION, "e1234567")
    world.say(target, "at work")

    with world.running("logs", "-f", *ENDED, "execution/e1234567") as process:
        process.wait_for("at work\n")
        world.say(target, "last words")
        world.turn(target, Status.DEAD)
        ended = process.end()

    assert (ended.code, ended.lines) == (10, ["at work", "last words"])
    assert "phase=draining" in ended.err
    assert "phase=ended" in ended.err


def test_the_end_of_a_deployment_is_no_verdict(world: World) -> None:
    world.add(life=lived((A_DAY_AGO_S - 60, Status.RUNNING), (A_DAY_AGO_S, Status.STOPPED)))

    ended = world.run("logs", "-f", *ENDED, "deployment/d1234567")

    assert ended.code == 0


def test_one_shot_reading_gives_no_verdict(world: World) -> None:
    life = lived((A_DAY_AGO_S - 60, Status.RUNNING), (A_DAY_AGO_S, Status.DEAD))
    world.add(Kind.EXECUTION, "e1234567", life=life)

    ended = world.run("logs", "--since", "2d", "execution/e1234567")

    assert ended.code == 0


def test_it_is_124_after_a_timeout(world: World) -> None:
    world.add()

    ended = world.run("logs", "-f", "--timeout", "500ms", "deployment/d1234567")

    assert ended.code == 124


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_is_128_and_the_number_after_a_signal(
    world: World, number: signal.Signals, code: int
) -> None:
    world.say(world.add(), "one")

    with world.running("logs", "-q", "-f", "deployment/d1234567") as process:
        process.wait_for("one\n")
        process.process.send_signal(number)
        ended = process.end(timeout_s=5)

    assert (ended.code, ended.lines, ended.err) == (code, ["one"], "")
