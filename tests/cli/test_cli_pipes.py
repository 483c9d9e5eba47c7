"""Standard streams that are pipes: full, closed, or without a reader."""

import os
import subprocess
from io import FileIO

import pytest
from support.command_line import PATIENCE_S, World, shell
from support.long import long_values_after

from tailer.clock import SystemClock

FOLLOW = "$tailer logs -f deployment/d1234567"
POLL_S = 1.0  # while lines come; a quiet target is asked every three seconds


def test_head_ends_quiet_following_silently(world: World) -> None:
    """Once `head` has its line nothing more is written, so only the pipe can tell."""
    world.say(world.add(), "the only line")

    ended = shell(f"{FOLLOW} -q | head -1", environ=world.environ, timeout_s=10)

    assert (ended.code, ended.out, ended.err) == (0, "the only line\n", "")


def test_head_leaves_nothing_but_notices_on_stderr(world: World) -> None:
    world.say(world.add(), "the only line")

    ended = shell(f"{FOLLOW} | head -1", environ=world.environ, timeout_s=10)

    assert all("phase=following" in line for line in ended.err.splitlines())


def test_head_ends_a_long_one_shot_read_silently(world: World) -> None:
    world.say(world.add(), *["x" * 10_000] * 100, ago_s=1)

    ended = shell("$tailer logs deployment/d1234567 | head -1", environ=world.environ)

    assert (ended.code, len(ended.out), ended.err) == (0, 10_001, "")


@pytest.mark.parametrize(
    "words",
    long_values_after(
        2,
        [
            "logs deployment/d1234567",
            "list",
            "list -o json",
            "--help",
            "completion bash",
            "simulate --port 0",
        ],
    ),
)
def test_a_reader_that_left_before_the_first_line_is_no_failure(world: World, words: str) -> None:
    world.say(world.add(), "one", ago_s=1)

    ended = shell(f"$tailer {words} | true", environ=world.environ)

    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_cat_shows_each_line_within_about_one_poll(world: World) -> None:
    clock = SystemClock()
    target = world.add()
    world.say(target, "first")
    waits_s = []

    with (
        world.running("logs", "-q", "-f", "deployment/d1234567") as follower,
        subprocess.Popen(["cat"], stdin=follower.process.stdout, stdout=subprocess.PIPE) as cat,
    ):
        follower.process.stdout, copied = cat.stdout, follower.process.stdout
        follower.wait_for("first\n")
        for word in ("second", "third", "fourth"):
            said_ns = clock.wall_ns()
            world.say(target, word)
            follower.wait_for(f"{word}\n")
            waits_s.append((clock.wall_ns() - said_ns) / 1e9)
        follower.process.kill()
        assert copied is not None
        copied.close()

    assert max(waits_s) < 2.5 * POLL_S


def test_following_continues_after_the_reader_of_stderr_has_left(world: World) -> None:
    reader, writer = os.pipe()
    target = world.add()
    world.say(target, "first")

    with FileIO(writer, "w") as notices:
        os.close(reader)
        with world.running("logs", "-f", "deployment/d1234567", stderr=notices) as follower:
            follower.wait_for("first\n")
            world.say(target, "second")
            text = follower.wait_for("second\n")

    assert text == "first\nsecond\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_unwritable_notices_are_discarded(world: World, redirection: str) -> None:
    world.say(world.add(), "first", ago_s=1)

    ended = shell(f"{FOLLOW} --timeout 1s {redirection}", environ=world.environ)

    assert (ended.code, ended.out, ended.err) == (124, "first\n", "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_an_unwritable_error_message_keeps_its_exit_code(world: World, redirection: str) -> None:
    ended = shell(f"$tailer logs deployment/d7654321 {redirection}", environ=world.environ)

    assert (ended.code, ended.out, ended.err) == (4, "", "")


@pytest.mark.parametrize(
    "words", long_values_after(1, ["logs deployment/d1234567", "list", "demo"])
)
def test_without_a_standard_output_it_does_not_start(world: World, words: str) -> None:
    world.add()

    ended = shell(f"$tailer {words} >&-", environ=world.environ)

    assert ended.code == 5
    assert ended.complaint == (
        "tailer: standard output is closed (redirect it to /dev/null instead)"
    )


def test_without_a_standard_input_it_works(world: World) -> None:
    world.say(world.add(), "one", ago_s=1)

    ended = shell("$tailer logs deployment/d1234567 <&-", environ=world.environ)

    assert (ended.code, ended.out, ended.err) == (0, "one\n", "")


def test_a_slow_reader_gets_every_line(world: World) -> None:
    lines = [f"{number} {'x' * 1000}" for number in range(400)]
    world.say(world.add(), *lines, ago_s=1)

    with world.running("logs", "deployment/d1234567") as process:
        world.wait_until_asked("logs", times=1)
        ended = process.end(timeout_s=PATIENCE_S)

    assert ended.lines == lines
