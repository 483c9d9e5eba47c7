"""The flags that say which targets are meant without naming them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from tailer.cli.options import PATTERN, option
from tailer.cli.suggestions import (
    suggest_configurations,
    suggest_executables,
    suggest_scenarios,
)
from tailer.errors import ConfigError
from tailer.model import Kind, Status
from tailer.selection import Selector
from tailer.sinks.line_filter import compile_pattern

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    option(
        "-A",
        "--all-resource-groups",
        is_flag=True,
        help="In all resource groups that the key may see, instead of -g.",
    ),
    option("--deployments", is_flag=True, help="All deployments, now and later."),
    option("--executions", is_flag=True, help="All executions, now and later."),
    option(
        "--scenario",
        "scenarios",
        multiple=True,
        metavar="ID",
        shell_complete=suggest_scenarios,
        help="All of this scenario; may be repeated, like the next four.",
    ),
    option(
        "--executable",
        "executables",
        multiple=True,
        metavar="ID",
        shell_complete=suggest_executables,
        help="… this executable.",
    ),
    option(
        "--configuration",
        "configurations",
        type=PATTERN,
        multiple=True,
        metavar="ID|RE",
        shell_complete=suggest_configurations,
        help="… this configuration, by its id or by what is found in its name.",
    ),
    option(
        "--status",
        "statuses",
        type=click.Choice([str(one) for one in Status], case_sensitive=False),
        multiple=True,
        help="… in this status; what has just been in it counts.",
    ),
    option(
        "--id",
        "ids",
        type=PATTERN,
        multiple=True,
        metavar="RE",
        help="… with an id in which this is found.",
    ),
)
_DESCRIBING = ("deployments", "executions", "scenarios", "executables", "configurations")
_FLAGS = (*_DESCRIBING, "statuses", "ids")


def selector_options(command: _Command) -> _Command:
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def is_selecting(flags: Mapping[str, Any]) -> bool:
    return any(flags[name] for name in _FLAGS)


def compile_selector(flags: Mapping[str, Any]) -> Selector | None:
    """None when nothing is selected. The resource groups are still to be filled in.

    Raises: ConfigError, naming the flag, its value and the remedy.
    """
    if flags["all_resource_groups"] and flags["resource_groups"]:
        raise ConfigError(
            "-A and -g contradict each other", hint="-A is all resource groups already"
        )
    if not is_selecting(flags):
        return None
    chosen = tuple(kind for kind in Kind if flags[f"{kind}s"])
    return Selector(
        resource_groups=None,
        kinds=chosen or tuple(Kind),
        scenarios=flags["scenarios"],
        executables=flags["executables"],
        configurations=tuple(
            compile_pattern(one, "--configuration") for one in flags["configurations"]
        ),
        statuses=tuple(Status(one) for one in flags["statuses"]),
        ids=tuple(compile_pattern(one, "--id") for one in flags["ids"]),
    )
