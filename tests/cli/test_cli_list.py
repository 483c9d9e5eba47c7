"""`tailer list`: the table for people, JSON lines for programs."""

import shlex
from typing import Any

import pytest
from rich.cells import cell_len
from support.command_line import Serve, World, lived
from support.long import long_values_after
from support.terminal import terminal

from tailer.model import Kind, Status

A_DAY_AGO_S = -86_400.0


@pytest.fixture
def populated(world: World) -> World:
    dead = lived((A_DAY_AGO_S - 60, Status.RUNNING), (A_DAY_AGO_S, Status.DEAD))
    world.add(Kind.EXECUTION, "e1234567", life=dead, scenario_id="churn")
    world.add(Kind.DEPLOYMENT, "d1234567", scenario_id="prices", executable_id="serve")
    world.add(Kind.DEPLOYMENT, "d7654321", resource_group="team-a")
    return world


def test_the_table_shows_the_newest_first(populated: World) -> None:
    ended = populated.run("list")

    heading, *rows = [line.split() for line in ended.lines]
    assert heading == ["TARGET", "STATUS", "AGE", "SCENARIO", "CONFIGURATION"]
    assert [row[:3] for row in rows] == [
        ["deployment/d1234567", "RUNNING", "60m"],
        ["execution/e1234567", "DEAD", "24h"],
    ]


def test_the_table_names_the_groups_once_there_are_several(populated: World) -> None:
    ended = populated.run("list", "deployments", "-g", "default", "-g", "team-a")

    assert sorted(line.split()[:2] for line in ended.lines) == [
        ["GROUP", "TARGET"],
        ["default", "deployment/d1234567"],
        ["team-a", "deployment/d7654321"],
    ]


def test_json_is_one_object_a_line(populated: World) -> None:
    ended = populated.run("list", "deployments", "-o", "json")

    row, *others = ended.json
    assert others == []
    assert row.items() >= EXPECTED.items()


EXPECTED: dict[str, Any] = {
    "target": "deployment/d1234567",
    "resource_group": "default",
    "kind": "deployment",
    "id": "d1234567",
    "status": "RUNNING",
    "scenario_id": "prices",
    "executable_id": "serve",
    "configuration_name": "serve-configuration",
}


@pytest.mark.parametrize(
    "flags",
    long_values_after(
        3,
        [
            ["--status", "dead"],
            ["--status", "dead", "--status", "completed"],
            ["--scenario", "churn"],
            ["--scenario", "churn", "--scenario", "nowhere"],
            ["--executable", "inference"],
            ["--configuration", "^infer"],
            ["executions", "--configuration", "c-inference"],
        ],
    ),
)
def test_flags_choose_rows(populated: World, flags: list[str]) -> None:
    ended = populated.run("list", "-o", "json", *flags)

    assert [row["target"] for row in ended.json] == ["execution/e1234567"]


def test_a_denied_group_is_reported_and_the_others_are_in_the_table(serve: Serve) -> None:
    world = serve(forbidden_resource_groups=("team-a",))
    world.add()

    ended = world.run("list", "-g", "team-a", "-g", "default", "-o", "json")

    assert (ended.code, [row["id"] for row in ended.json]) == (0, ["d1234567"])
    assert "resource group team-a: 403 Forbidden" in ended.complaint


def test_it_fails_if_every_request_is_denied(serve: Serve) -> None:
    world = serve(forbidden_resource_groups=("default", "team-a"))

    ended = world.run("list", "-g", "team-a", "-g", "default")

    assert (ended.code, ended.out) == (4, "")
    assert "403 Forbidden" in ended.complaint


def test_an_invalid_expression_is_named(world: World) -> None:
    ended = world.run("list", "--configuration", "(")

    assert ended.code == 2
    assert "--configuration '(' is not a regular expression" in ended.complaint


def follow_commands(world: World, *words: str, **environ: str) -> list[str]:
    ended = world.run("list", "-o", "json", *words, more_environ=environ)
    return sorted(row["follow"] for row in ended.json)


def test_json_has_the_command_that_follows(populated: World) -> None:
    assert follow_commands(populated, "-A") == [
        "tailer logs -f -g team-a deployment/d7654321",
        "tailer logs -f deployment/d1234567",
        "tailer logs -f execution/e1234567",
    ]


def test_the_command_omits_the_default_group(populated: World) -> None:
    commands = follow_commands(populated, AICORE_RESOURCE_GROUP="team-a")

    assert commands == ["tailer logs -f deployment/d7654321"]


def test_the_command_names_the_group_if_a_variable_sets_another(populated: World) -> None:
    commands = follow_commands(
        populated, "-g", "default", "deployments", TAILER_RESOURCE_GROUP="team-a"
    )

    assert commands == ["tailer logs -f -g default deployment/d1234567"]


def test_the_printed_command_follows_the_target(populated: World) -> None:
    (command,) = follow_commands(populated, "-g", "team-a")
    words = shlex.split(command)[1:]

    with populated.running(*words) as process:
        output = process.wait_for("phase=following", on="err")

    assert "deployment/d7654321" in output


def test_the_table_has_a_hint_how_to_follow(populated: World) -> None:
    with terminal("list", environ=populated.environ) as opened:
        code = opened.end()

    assert code == 0
    assert opened.screen.endswith("\nfollow one: tailer logs -f deployment/d1234567\n")
    assert "\x1b[2mfollow one:" in opened.raw


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_each_row_fits_the_terminal(world: World, columns: int) -> None:
    world.add(name="d" * 64, scenario_id="需要予測" * 20, executable_id="x" * 200)

    with terminal("list", environ=world.environ, columns=columns) as opened:
        opened.end()

    table = opened.screen.partition("follow one:")[0].splitlines()
    assert len(table) == 2
    assert max(map(cell_len, table)) <= columns


def test_an_empty_list_is_reported(world: World) -> None:
    ended = world.run("list")

    assert (ended.code, ended.out, ended.err) == (0, "", "nothing found\n")
