"""Verdicts of executions: exit code, and the report on stderr for people and for CI."""

import signal
from typing import Any

import pytest
from support.command_line import World, lived

from tailer.model import Kind, Status, Target

A_DAY_AGO_S = -86_400.0
FOLLOW = ("logs", "-f", "--since", "2d", "--lateness", "2s", "--drain", "1s")
DETAILS = {
    "workflow_info": {
        "pods": [
            {
                "pod_name": "e1234567-main-0",
                "container_states": [
                    {"name": "main", "reason": "OOMKilled", "exitCode": 137},
                    {"name": "metrics", "reason": "Completed", "exitCode": 0},
                ],
            }
        ]
    }
}


def ended_job(world: World, status: Status, name: str = "e1234567", **plan: Any) -> Target:
    """It ran for four minutes and twelve seconds, a day ago."""
    life = lived((A_DAY_AGO_S - 252, Status.RUNNING), (A_DAY_AGO_S, status))
    kind = Kind.DEPLOYMENT if name.startswith("d") else Kind.EXECUTION
    return world.add(kind, name, life=life, **plan)


def verdicts(err: str) -> list[str]:
    """The lines for people that follow the notices."""
    return [line for line in err.splitlines() if not line.startswith("timestamp=")]


def test_the_reason_of_a_dead_job_is_printed_even_with_quiet(world: World) -> None:
    target = ended_job(world, Status.DEAD, end_message="main\x1b[31m exited", end_details=DETAILS)
    world.say(target, *["line"] * 1204, ago_s=-A_DAY_AGO_S + 1)

    ended = world.run(*FOLLOW, "-q", "execution/e1234567")

    assert ended.code == 10
    assert ended.err.splitlines() == [
        "execution/e1234567: DEAD after 4m12s, 1,204 lines: main\\x1b[31m exited",
        "  e1234567-main-0/main: OOMKilled, exit code 137",
    ]


@pytest.mark.parametrize(
    ("status", "quiet", "code", "line"),
    [
        (Status.COMPLETED, False, 0, "execution/e1234567: COMPLETED after 4m12s, no lines"),
        (Status.COMPLETED, True, 0, None),
        (Status.STOPPED, True, 11, "execution/e1234567: STOPPED after 4m12s, no lines: by me"),
    ],
)
def test_quiet_keeps_verdicts_of_failures(
    world: World, status: Status, quiet: bool, code: int, line: str | None
) -> None:
    ended_job(world, status, end_message="by me" if status is Status.STOPPED else "")

    ended = world.run(*FOLLOW, *(["-q"] if quiet else []), "execution/e1234567")

    assert (ended.code, verdicts(ended.err)) == (code, [] if line is None else [line])


def test_the_worst_verdict_wins_and_is_printed_last(world: World) -> None:
    ended_job(world, Status.DEAD, "e1111111", end_message="", end_details={})
    ended_job(world, Status.COMPLETED, "e2222222")
    ended_job(world, Status.STOPPED, "e3333333")
    ended_job(world, Status.STOPPED, "d4444444")

    ended = world.run(*FOLLOW, "e1111111", "e2222222", "e3333333", "d4444444")

    assert ended.code == 10
    assert [line.split(" after")[0] for line in verdicts(ended.err)] == [
        "execution/e2222222: COMPLETED",
        "deployment/d4444444: STOPPED",
        "execution/e3333333: STOPPED",
        "execution/e1111111: DEAD",
    ]


def test_a_pending_job_is_waited_for_and_reported_once(world: World) -> None:
    target = world.add(
        Kind.EXECUTION, "e1234567", life=lived((-1, Status.PENDING), (6, Status.RUNNING))
    )

    with world.running(*FOLLOW, "execution/e1234567") as process:
        process.wait_for("not started (PENDING)", on="err")
        process.wait_for("phase=following", on="err")
        world.say(target, "hello")
        process.wait_for("hello\n")
        world.turn(target, Status.COMPLETED)
        ended = process.end()

    assert (ended.code, ended.err.count("phase=waiting")) == (0, 1)


@pytest.mark.parametrize("name", ["execution/e1234567", "e1234567"])
def test_a_job_may_be_created_after_its_follower(world: World, name: str) -> None:
    with world.running(*FOLLOW, "--wait", "30s", name) as process:
        process.wait_for("it does not exist yet", on="err")
        world.wait_until_asked("get", times=2)
        target = world.add(Kind.EXECUTION, "e1234567")
        world.say(target, "hello")
        process.wait_for("hello\n")
        world.turn(target, Status.COMPLETED)
        ended = process.end()

    assert (ended.code, ended.lines) == (0, ["hello"])
    assert ended.err.count("it does not exist yet") == 1


def test_a_job_that_is_never_created_is_4(world: World) -> None:
    ended = world.run(*FOLLOW, "-q", "--wait", "1s", "execution/e1234567")

    assert ended.code == 4
    assert "no execution e1234567 in resource group default, after waiting for 1s" in (
        ended.complaint
    )


def test_other_targets_are_followed_while_one_is_waited_for(world: World) -> None:
    target = ended_job(world, Status.COMPLETED)
    world.say(target, "done before", ago_s=-A_DAY_AGO_S + 1)

    with world.running(*FOLLOW, "--wait", "8s", "e1234567", "execution/e7654321") as process:
        process.wait_for("done before\n")
        ended = process.end()

    assert ended.code == 4
    assert verdicts(ended.err) == ["execution/e1234567: COMPLETED after 4m12s, 1 line"]
    assert "no execution e7654321" in ended.err


def test_a_timeout_precedes_a_longer_wait(world: World) -> None:
    ended = world.run(*FOLLOW, "--wait", "1h", "--timeout", "1s", "execution/e1234567")

    assert ended.code == 124
    assert "it does not exist yet" in ended.err


def test_a_job_that_still_runs_at_the_timeout_is_named(world: World) -> None:
    world.say(world.add(Kind.EXECUTION, "e1234567"), "at work")

    ended = world.run(*FOLLOW, "-q", "--timeout", "2s", "execution/e1234567")

    assert (ended.code, ended.err) == (
        124,
        "execution/e1234567: still RUNNING at the timeout, 1 line\n",
    )


def test_the_last_stderr_lines_of_a_failed_job_are_repeated(world: World) -> None:
    target = ended_job(world, Status.DEAD, end_message="", end_details={})
    ago_s = -A_DAY_AGO_S + 1
    world.say(target, "one", "two", "th\x1b[31mree", ago_s=ago_s + 1, stream="stderr")
    world.say(target, "and more", ago_s=ago_s, stream="stdout")

    ended = world.run(*FOLLOW, "-q", "--on-error-context", "2", "execution/e1234567")

    assert ended.err.splitlines() == [
        "--- the last 2 lines of execution/e1234567 on stderr ---",
        "two",
        "th\\x1b[31mree",
        "---",
        "execution/e1234567: DEAD after 4m12s, 4 lines",
    ]


def test_a_failed_job_without_stderr_repeats_its_last_lines(world: World) -> None:
    target = ended_job(world, Status.DEAD, end_message="", end_details={})
    world.say(target, "one", "two", ago_s=-A_DAY_AGO_S + 1, stream="stdout")

    ended = world.run(*FOLLOW, "-q", "--on-error-context", "1", "execution/e1234567")

    assert ended.err.splitlines()[:2] == [
        "--- the last line of execution/e1234567 (no lines on stderr) ---",
        "two",
    ]


def test_a_completed_job_repeats_no_lines(world: World) -> None:
    target = ended_job(world, Status.COMPLETED)
    world.say(target, "a warning", ago_s=-A_DAY_AGO_S + 1, stream="stderr")

    ended = world.run(*FOLLOW, "-q", "--on-error-context", "5", "execution/e1234567")

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("follow", [(), ("-f",)])
def test_max_lines_end_the_run_with_success(world: World, follow: tuple[str, ...]) -> None:
    world.say(world.add(), *[f"{number}" for number in range(20)], ago_s=5)

    ended = world.run("logs", *follow, "--max-lines", "7", "deployment/d1234567")

    assert (ended.code, ended.lines) == (0, [f"{number}" for number in range(7)])
    assert "event=max_lines_reached lines=7" in ended.err


def test_only_matching_lines_count_for_max_lines(world: World) -> None:
    world.say(world.add(), *[f"{number}" for number in range(20)], ago_s=5)

    ended = world.run("logs", "-q", "-f", "-i", "5", "--max-lines", "2", "deployment/d1234567")

    assert (ended.code, ended.lines, ended.err) == (0, ["5", "15"], "")


def test_the_first_reason_to_end_is_kept(world: World) -> None:
    world.say(world.add(Kind.EXECUTION, "e1234567"), "at work")

    with world.running(*FOLLOW, "--timeout", "1h", "execution/e1234567") as process:
        process.wait_for("at work\n")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end(timeout_s=5)

    assert ended.code == 143
