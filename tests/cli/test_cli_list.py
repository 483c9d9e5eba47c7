"""`tailer list`: what there is, for people and for programs."""

from typing import Any

import pytest
from cli.command_line import World, lived

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


@pytest.mark.parametrize("flags", [["--status", "dead"], ["--scenario", "churn"]])
def test_flags_choose_rows(populated: World, flags: list[str]) -> None:
    ended = populated.run("list", "-o", "json", *flags)

    assert [row["target"] for row in ended.json] == ["execution/e1234567"]


def test_it_says_when_there_is_nothing(world: World) -> None:
    ended = world.run("list")

    assert (ended.code, ended.out, ended.err) == (0, "", "nothing found\n")
