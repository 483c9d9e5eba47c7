"""Flags, and the variables that stand for them."""

import pytest
from support.command_line import World

LOGS = ("logs", "deployment/d1234567")


def test_every_flag_has_a_variable(world: World) -> None:
    target = world.add()
    world.say(target, "one", "two", "three", ago_s=5)
    variables = {"TAILER_TAIL": "2", "TAILER_OUTPUT": "json", "TAILER_EXCLUDE": "three"}

    ended = world.run(*LOGS, more_environ=variables)

    assert [line["msg"] for line in ended.json] == ["two"]


def test_a_flag_precedes_its_variable(world: World) -> None:
    world.say(world.add(), "one", "two", "three", ago_s=5)

    ended = world.run(*LOGS, "--tail", "1", more_environ={"TAILER_TAIL": "2"})

    assert ended.lines == ["three"]


def test_follow_in_a_variable_can_be_disabled(world: World) -> None:
    world.say(world.add(), "one", ago_s=5)

    ended = world.run(*LOGS, "--no-follow", more_environ={"TAILER_FOLLOW": "1"})

    assert (ended.code, ended.lines) == (0, ["one"])


def test_patterns_in_a_variable_are_separated_by_newlines(world: World) -> None:
    """They hold spaces more often than not."""
    world.say(world.add(), "disk is full", "disk is fine", "is it full", "lost", ago_s=5)

    ended = world.run(*LOGS, more_environ={"TAILER_INCLUDE": "disk is f\nlost"})

    assert ended.lines == ["disk is full", "disk is fine", "lost"]


def test_a_wrong_variable_is_named(world: World) -> None:
    ended = world.run(*LOGS, more_environ={"TAILER_SINCE": "yesterday"})

    assert ended.code == 2
    assert "'yesterday' is not a time" in ended.complaint


def test_quiet_leaves_only_errors(world: World) -> None:
    world.say(world.add(), "one", ago_s=5)

    ended = world.run(*LOGS, "-q", "-f", "--timeout", "1s")

    assert (ended.code, ended.out, ended.err) == (124, "one\n", "")


def test_machine_readable_notices_are_key_and_value(world: World) -> None:
    world.add()

    ended = world.run(*LOGS, "-f", "--timeout", "1s")

    notice, *others = ended.err.splitlines()
    assert others == []
    assert notice.startswith("timestamp=")
    assert notice.endswith(" event=target_phase target=deployment/d1234567 phase=following")


def test_a_timeout_covers_the_search_for_the_targets_too(world: World) -> None:
    """A service that answers, but with nothing except failures, is retried without end."""
    world.break_down()

    ended = world.run(*LOGS, "-q", "--timeout", "1s", timeout_s=10)

    assert (ended.code, ended.err) == (124, "")


def test_several_targets_have_prefixes(world: World) -> None:
    world.say(world.add(), "a", ago_s=5)
    world.say(world.add(name="d7654321"), "b", ago_s=4)

    ended = world.run("logs", "deployment/d1234567", "deployment/d7654321")

    assert sorted(ended.lines) == ["d1234567 │ a", "d7654321 │ b"]


def test_a_target_named_twice_is_read_once(world: World) -> None:
    world.say(world.add(), "a", ago_s=5)

    ended = world.run("logs", "d1234567", "deployment/d1234567", "deployments/d1234567")

    assert ended.lines == ["a"]


def test_a_bare_id_is_looked_up_in_every_group_named(world: World) -> None:
    world.say(world.add(name="e7654321", resource_group="team-a"), "here", ago_s=5)

    ended = world.run("logs", "-g", "default", "-g", "team-a", "e7654321")

    assert (ended.code, ended.lines) == (0, ["here"])


@pytest.mark.parametrize(
    ("variables", "colored"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_color_follows_the_conventions(
    world: World, variables: dict[str, str], *, colored: bool
) -> None:
    world.say(world.add(), "one", ago_s=5, stream="stdout")

    ended = world.run(*LOGS, "-t", more_environ=variables)

    assert ("\x1b[" in ended.out) is colored
