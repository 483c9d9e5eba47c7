"""What a [[watch]] without targets means."""

import re
from collections.abc import Mapping

import pytest

from tailer.config import Watch, parse_config
from tailer.discovery.selector import Selector, selector_for
from tailer.model import Kind, Status

SINK = '[[sink]]\nkind = "file"\npath = "/var/log/aicore/{id}.log"\n'


def watch(written: str, environ: Mapping[str, str] | None = None) -> Watch:
    text = f"[[watch]]\n{written}\n{SINK}"
    return parse_config(text, name="tailer.toml", environ=environ or {}).watches[0]


def selector(written: str) -> Selector | None:
    return selector_for(watch(written), default_group="usual")


def test_a_watch_of_targets_selects_nothing() -> None:
    assert selector('targets = ["d1"]') is None


def test_a_selector_accepts_one_value_or_a_list() -> None:
    one = selector('resource_group = "a"\nscenario = "churn"\nstatus = "DEAD"')
    several = selector(
        'resource_group = ["a", "b"]\nkind = "deployment"\nscenario = ["churn", "fraud"]\n'
        'executable = ["x", "y"]\nstatus = ["DEAD", "STOPPED"]'
    )

    assert one == Selector(resource_groups=("a",), scenarios=("churn",), statuses=(Status.DEAD,))
    assert several == Selector(
        resource_groups=("a", "b"),
        kinds=(Kind.DEPLOYMENT,),
        scenarios=("churn", "fraud"),
        executables=("x", "y"),
        statuses=(Status.DEAD, Status.STOPPED),
    )


@pytest.mark.parametrize(("written", "groups"), [("", ("usual",)), ('resource_group = "*"', None)])
def test_resource_groups_are_the_default_group_or_all(
    written: str, groups: tuple[str, ...] | None
) -> None:
    found = selector(f'{written}\nkind = "execution"')

    assert found is not None
    assert found.resource_groups == groups


def test_configurations_and_ids_are_expressions() -> None:
    found = selector('configuration = "nightly|weekly"\nid = ["^e1", "^e2"]')

    assert found == Selector(
        resource_groups=("usual",),
        configurations=(re.compile("nightly|weekly"),),
        ids=(re.compile("^e1"), re.compile("^e2")),
    )


def test_a_selector_can_be_set_by_variables() -> None:
    found = watch(
        'kind = "execution"',
        {
            "TAILER_WATCH__1__STATUS": "PENDING,RUNNING",
            "TAILER_WATCH__1__SCENARIO": "churn",
            "TAILER_WATCH__1__ID": "^e{1,2}\n^f",
            "TAILER_WATCH__1__RESOURCE_GROUP": "a, b",
        },
    )

    assert found.status == ("PENDING", "RUNNING")
    assert found.scenario == ("churn",)
    assert found.id == (re.compile("^e{1,2}"), re.compile("^f"))
    assert found.resource_group == ("a", "b")
