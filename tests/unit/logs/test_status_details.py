"""Failure reasons extracted from the free-form JSON of a status."""

from typing import Any

import pytest

from tailer.logs.report import reasons

POD = {
    "pod_name": "e1-main-0",
    "phase": "Failed",
    "container_states": [
        {"name": "main", "reason": "OOMKilled", "exitCode": 137, "message": "memory\n  limit"},
        {"name": "metrics", "reason": "Completed", "exitCode": 0},
    ],
}


def test_reasons_exit_codes_and_messages_have_the_names_of_their_objects() -> None:
    assert reasons({"workflow_info": {"pods": [POD]}}) == (
        "e1-main-0/main: OOMKilled, exit code 137: memory limit",
    )


@pytest.mark.parametrize(
    ("details", "output"),
    [
        ({"reason": "ErrImagePull"}, "ErrImagePull"),
        ({"exit_code": "2"}, "exit code 2"),
        ({"exitCode": 0, "message": "but the init container failed"}, "but the init container"),
        ({"errors": ["one", "two"]}, "one; two"),
        ({"a": {"b": [{"Message": "deep"}]}}, "deep"),
        ("  just text ", "just text"),
    ],
)
def test_a_reason_is_found_in_any_shape(details: object, output: str) -> None:
    (reason,) = reasons(details)

    assert reason.startswith(output)


@pytest.mark.parametrize("details", [None, {}, [], "", {"exitCode": 0, "reason": "Completed"}])
def test_a_healthy_status_has_no_details(details: Any) -> None:
    assert reasons(details, reported="x") == ()


def test_reported_details_are_not_repeated() -> None:
    assert reasons({"message": "no node"}, reported="no node") == ()


def test_the_same_reason_of_many_retries_is_reported_once() -> None:
    assert reasons([{"reason": "BackOff"}] * 50) == ("BackOff",)


def test_an_unknown_shape_is_shown_as_it_is() -> None:
    assert reasons({"verdict": "kaputt"}) == ('{"verdict": "kaputt"}',)


def test_details_are_limited_to_a_screen() -> None:
    output = reasons([{"name": f"pod-{number}", "message": "x" * 10_000} for number in range(500)])

    assert len(output) == 11
    assert output[-1] == "… and 490 more"
    assert max(len(line) for line in output) <= 301


def test_deeply_nested_details_are_bounded() -> None:
    details: object = {"message": "bottom"}
    for _ in range(100_000):
        details = [details]

    assert reasons(details, reported="x") == ()


@pytest.mark.parametrize("depth", [5_000, 200_000])
def test_deep_nesting_without_a_reason_is_bounded(depth: int) -> None:
    """How deep `json` can go differs between versions of Python."""
    details: object = "bottom"
    for _ in range(depth):
        details = [details]

    assert all(len(line) <= 301 for line in reasons(details))
