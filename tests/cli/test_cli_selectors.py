"""`tailer logs` with selectors: several targets, and executions that are created later."""

import signal
from typing import Any

import pytest
from support.command_line import Serve, World, lived
from support.long import long_after

from tailer.model import Kind, Status

RUNS = ((-600.0, Status.RUNNING),)


@pytest.fixture
def crowded(serve: Serve) -> World:
    """A deployment and three executions in two resource groups, each with one line: its id."""
    world = serve(forbidden_resource_groups=("secret",))
    add(world, "d1234567", Kind.DEPLOYMENT)
    add(world, "e1234567", scenario_id="churn", executable_id="training")
    add(world, "e7654321", scenario_id="fraud", configuration_id="c-17")
    add(
        world,
        "e5555555",
        resource_group="team-a",
        life=lived((-600, Status.RUNNING), (-60, Status.DEAD)),
    )
    return world


def add(world: World, name: str, kind: Kind = Kind.EXECUTION, **plan: Any) -> None:
    world.say(world.add(kind, name, **{"life": lived(*RUNS), **plan}), name, ago_s=100)


def printed(world: World, *words: str) -> list[str]:
    ended = world.run("logs", "-o", "raw", "--since", "1h", *words)
    assert ended.code == 0, ended.err
    return sorted(ended.lines)


@pytest.mark.parametrize(
    ("words", "ids"),
    long_after(
        3,
        [
            (["--deployments"], ["d1234567"]),
            (["--executions"], ["e1234567", "e7654321"]),
            (["--deployments", "--executions"], ["d1234567", "e1234567", "e7654321"]),
            (["--scenario", "fraud"], ["e7654321"]),
            (
                ["--executions", "--scenario", "fraud", "--scenario", "churn"],
                ["e1234567", "e7654321"],
            ),
            (["--executable", "training"], ["e1234567"]),
            (["--configuration", "c-17"], ["e7654321"]),
            (["--configuration", "^training-"], ["e1234567"]),
            (["--id", "^e.*7$"], ["e1234567"]),
            (["-g", "team-a", "--status", "dead"], ["e5555555"]),
            (["-A", "--executions"], ["e1234567", "e5555555", "e7654321"]),
            (["--scenario", "fraud", "d1234567"], ["d1234567", "e7654321"]),
            (["--executions", "execution/e1234567"], ["e1234567", "e7654321"]),
        ],
    ),
)
def test_without_follow_every_matching_target_is_read_once(
    crowded: World, words: list[str], ids: list[str]
) -> None:
    assert printed(crowded, *words) == ids


def test_without_a_match_the_available_targets_are_listed(crowded: World) -> None:
    ended = crowded.run("logs", "--executions", "--status", "DEAD")

    assert ended.code == 4
    assert "nothing matches executions in status DEAD in default" in ended.complaint
    assert "1 execution of scenario fraud (1 RUNNING)" in ended.complaint


def test_a_denied_resource_group_is_reported_and_the_others_are_read(
    crowded: World,
) -> None:
    ended = crowded.run(
        "logs", "-o", "raw", "--since", "1h", "--executions", "-g", "secret", "-g", "default"
    )

    assert ended.code == 4
    assert sorted(ended.lines) == ["e1234567", "e7654321"]
    assert ended.err.count("resource group secret") >= 1


def test_a_name_is_looked_up_past_a_resource_group_without_permission(crowded: World) -> None:
    groups = ("-g", "secret", "-g", "default")
    target = crowded.add(Kind.EXECUTION, "e7777777")
    crowded.say(target, "here", ago_s=5)

    found = crowded.run("logs", "-q", *groups, "execution/e7777777")
    missing = crowded.run("logs", "-q", *groups, "execution/e8888888")

    assert (found.code, found.out) == (0, "here\n")
    assert missing.code == 4
    assert "no execution e8888888 in resource group" in missing.complaint
    assert "403 Forbidden" in missing.complaint


def test_exit_code_is_4_if_every_resource_group_is_denied(crowded: World) -> None:
    ended = crowded.run("logs", "--executions", "-g", "secret")

    assert ended.code == 4
    assert "403" in ended.complaint


@pytest.mark.long
def test_targets_that_ended_before_since_are_not_requested(crowded: World) -> None:
    life = lived((-90_000, Status.RUNNING), (-86_400, Status.COMPLETED))
    for number in range(20):
        crowded.add(Kind.EXECUTION, f"e00000{number:02}", life=life)

    assert printed(crowded, "--executions") == ["e1234567", "e7654321"]
    assert crowded.requests("logs") <= 4


def test_with_follow_a_later_target_is_read_from_its_creation(world: World) -> None:
    with world.running("logs", "-f", "-o", "raw", "--executions", "--status", "RUNNING") as process:
        process.wait_for("selector_unmatched", on="err")
        world.wait_until_asked("list", times=2)
        add_short(world, "e1234567")
        add_short(world, "e7654321")
        process.wait_for("e1234567")
        process.wait_for("e7654321")
        process.process.send_signal(signal.SIGINT)
        ended = process.end()

    assert ended.code == 130
    assert sorted(ended.lines) == ["e1234567", "e7654321"]


def add_short(world: World, name: str) -> None:
    """Add an execution that has completed before it is first listed."""
    life = lived((-2.0, Status.RUNNING), (-0.5, Status.COMPLETED))
    world.say(world.add(Kind.EXECUTION, name, life=life), name, ago_s=1)


def test_with_follow_it_runs_until_stopped_after_all_targets_have_ended(crowded: World) -> None:
    ended = crowded.run(
        "logs", "-f", "-o", "raw", "-g", "team-a", "--executions", "--drain", "0", "--timeout", "4"
    )

    assert ended.code == 124
    assert ended.lines == ["e5555555"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    long_after(
        2,
        [
            (["-A", "-g", "default", "--executions"], "-A and -g exclude each other"),
            (["-A"], "no TARGET given"),
            (["--wait", "1m", "--executions"], "--wait without TARGET"),
            (["--id", "e("], "--id"),
            (["--configuration", "*"], "--configuration"),
            (["--status", "FAILED"], "--status"),
        ],
    ),
)
def test_a_flag_mistake_is_reported_before_any_request(
    world: World, words: list[str], complaint: str
) -> None:
    ended = world.run("logs", *words)

    assert ended.code == 2
    assert complaint in ended.err
    assert world.requests("list") == 0
