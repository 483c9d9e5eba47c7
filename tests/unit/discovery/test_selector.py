import re
from typing import Any

import pytest

from tailer.discovery.selector import Selector, summarize_workloads
from tailer.model import Kind, Status, Target, Workload

WORKLOAD = Workload(
    Target("team-a", Kind.EXECUTION, "e1a2b3"),
    Status.RUNNING,
    scenario_id="churn",
    executable_id="training",
    configuration_id="c-17",
    configuration_name="churn-nightly-eu",
)


def selector(**what: Any) -> Selector:
    return Selector(**{"resource_groups": ("team-a",), **what})


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"resource_groups": None},
        {"resource_groups": ("default", "team-a")},
        {"kinds": (Kind.EXECUTION,)},
        {"scenarios": ("other", "churn")},
        {"executables": ("serving", "training")},
        {"configurations": (re.compile("c-17"),)},
        {"configurations": (re.compile("nightly"),)},
        {"statuses": (Status.PENDING, Status.RUNNING)},
        {"ids": (re.compile("^e1"),)},
        {"scenarios": ("churn",), "ids": (re.compile("3$"),), "statuses": (Status.RUNNING,)},
    ],
)
def test_a_selector_matches_the_properties_of_a_workload(what: dict[str, Any]) -> None:
    assert selector(**what).matches(WORKLOAD)


@pytest.mark.parametrize(
    "what",
    [
        {"resource_groups": ("default",)},
        {"kinds": (Kind.DEPLOYMENT,)},
        {"scenarios": ("chur",)},
        {"executables": ("train",)},
        {"configurations": (re.compile("c-1"),)},
        {"configurations": (re.compile("^nightly"),)},
        {"statuses": (Status.DEAD,)},
        {"ids": (re.compile("^1a"),)},
        {"scenarios": ("churn",), "statuses": (Status.DEAD,)},
    ],
)
def test_one_different_property_does_not_match(what: dict[str, Any]) -> None:
    assert not selector(**what).matches(WORKLOAD)


def test_the_properties_match_independently_of_the_status() -> None:
    assert selector(statuses=(Status.DEAD,)).describes(WORKLOAD)


def ended(status: Status) -> Workload:
    return Workload(WORKLOAD.target, status)


@pytest.mark.parametrize("wanted", [Status.UNKNOWN, Status.PENDING, Status.RUNNING])
@pytest.mark.parametrize("end", [Status.COMPLETED, Status.DEAD, Status.STOPPED])
def test_a_new_workload_has_passed_every_earlier_status(wanted: Status, end: Status) -> None:
    assert selector(statuses=(wanted,)).has_matched(ended(end), since=None)


@pytest.mark.parametrize("other", [Status.COMPLETED, Status.STOPPED, Status.STOPPING])
def test_a_dead_workload_has_not_passed_another_final_status(other: Status) -> None:
    assert not selector(statuses=(other,)).has_matched(ended(Status.DEAD), since=None)


@pytest.mark.parametrize(
    ("since", "now", "has_run"),
    [
        (Status.PENDING, Status.PENDING, False),
        (Status.PENDING, Status.COMPLETED, True),
        (Status.RUNNING, Status.COMPLETED, False),
        (Status.COMPLETED, Status.COMPLETED, False),
        (Status.UNKNOWN, Status.STOPPING, True),
        (Status.COMPLETED, Status.PENDING, False),
        (Status.COMPLETED, Status.RUNNING, True),
    ],
)
def test_only_statuses_between_two_listings_were_passed(
    since: Status, now: Status, has_run: bool
) -> None:
    assert selector(statuses=(Status.RUNNING,)).has_matched(ended(now), since=since) is has_run


def test_a_selector_has_a_readable_description() -> None:
    wanted = selector(
        kinds=(Kind.EXECUTION,),
        scenarios=("churn", "fraud"),
        configurations=(re.compile("nightly"),),
        statuses=(Status.DEAD,),
    )

    assert str(wanted) == (
        "executions of scenario churn or fraud of configuration nightly in status DEAD in team-a"
    )
    assert str(selector(resource_groups=None)) == (
        "deployments and executions in all resource groups"
    )


def test_workloads_are_counted_by_kind_scenario_and_status() -> None:
    dead = Workload(Target("g", Kind.EXECUTION, "e2"), Status.DEAD, scenario_id="churn")
    serving = Workload(Target("g", Kind.DEPLOYMENT, "d1"), Status.RUNNING)

    assert summarize_workloads([WORKLOAD, dead, WORKLOAD, serving]) == (
        "3 executions of scenario churn (2 RUNNING, 1 DEAD), 1 deployment (1 RUNNING)"
    )
    assert summarize_workloads([]) == "nothing"


def test_only_the_largest_scenarios_are_listed() -> None:
    many = [
        Workload(Target("g", Kind.EXECUTION, f"e{n}"), Status.DEAD, scenario_id=f"s{n}")
        for n in range(9)
    ]

    assert summarize_workloads(many).endswith("1 execution of scenario s4 (1 DEAD), 4 others")
