"""Options that several commands share, and the types of their values.

Every option can also be set by an environment variable.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tailer.cli.completion import (
    suggest_configurations,
    suggest_executables,
    suggest_groups,
    suggest_scenarios,
)
from tailer.discovery.selector import Selector
from tailer.errors import ConfigError
from tailer.logs.request import When
from tailer.model import Kind, Status
from tailer.sinks.lines import compile_pattern
from tailer.text import parse_duration
from tailer.timestamp import parse_ns

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MAX_DURATION_S = 1e11  # about 3,000 years; a longer duration is a typing error


def option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """A click option with the variable TAILER_<LONG NAME>, or `variable` if it is given."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = settings.pop("variable", None) or (
        "TAILER_" + long.removeprefix("--").replace("-", "_").upper()
    )
    return click.option(*names, envvar=variable, **settings)


def output_option(
    command: str, human: str, *, description: str = "Text for people, or one JSON object a line."
) -> Callable[[_Command], _Command]:
    """The option -o of `command`. TAILER_OUTPUT belongs to `logs`, which has other values."""
    return option(
        "-o",
        "--output",
        variable=f"TAILER_{command.upper()}_OUTPUT",
        type=click.Choice([human, "json"]),
        default=human,
        show_default=True,
        show_envvar=True,
        help=description,
    )


class DurationType(click.ParamType[float]):
    """A duration in seconds: `10m`, `1h30m`, `2d`, `500ms`; a number alone means seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, (int, float)):
            return float(value)
        seconds = _seconds(value)
        if seconds is None:
            self.fail(
                f"{value!r} is not a duration; write it like 90s, 10m, 1h30m or 2d", param, ctx
            )
        return seconds


class WhenType(click.ParamType[When]):
    """A point in time: `10m` means ten minutes ago; otherwise an RFC 3339 time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, When):
            return value
        seconds = _seconds(value)
        if seconds is not None:
            return When(ago_s=seconds)
        try:
            return When(at_ns=parse_ns(value))
        except ValueError:
            self.fail(
                f"{value!r} is not a time; write how long ago (10m, 1h30m, 2d) "
                "or a date like 2026-11-23T14:00:00Z",
                param,
                ctx,
            )


def _seconds(text: str) -> float | None:
    text = text.strip().lower()
    is_number = re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII)
    seconds = float(text) if is_number else parse_duration(text)
    return seconds if seconds is not None and seconds <= _MAX_DURATION_S else None


class PatternType(click.ParamType[str]):
    """A regular expression, compiled later. A variable has one a line: patterns may hold spaces."""

    name = "regular expression"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def split_envvar_value(self, rv: str) -> list[str]:
        return rv.splitlines()


DURATION = DurationType()
WHEN = WhenType()
PATTERN = PatternType()


def patterns(texts: Sequence[str], flag: str) -> tuple[re.Pattern[str], ...]:
    """Compile the values of a pattern option.

    Raises:
        ConfigError: Names the flag and the wrong pattern.
    """
    return tuple(compile_pattern(text, flag) for text in texts)


def pattern_option(
    *names: str, metavar: str = "RE", **settings: Any
) -> Callable[[_Command], _Command]:
    return option(*names, type=PATTERN, multiple=True, metavar=metavar, **settings)


def file_option(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    return option(name, type=click.Path(path_type=Path), metavar="FILE", **settings)


resource_group_option = option(
    "-g",
    "--resource-group",
    "resource_groups",
    multiple=True,
    metavar="GROUP",
    shell_complete=suggest_groups,
    help="Resource group; repeatable. [default: $AICORE_RESOURCE_GROUP, else 'default']",
)
all_groups_option = option(
    "-A",
    "--all-resource-groups",
    is_flag=True,
    help="All resource groups that the service key may read, instead of -g.",
)
service_key_option = file_option(
    "--service-key-file",
    help="Service key (JSON) to use instead of AICORE_*, ~/.aicore and VCAP_SERVICES.",
)
_KINDS = (
    option("--deployments", is_flag=True, help="All deployments, now and later."),
    option("--executions", is_flag=True, help="All executions, now and later."),
)
_ID = pattern_option(
    "--id", "ids", help="Targets with an id in which this pattern is found; repeatable."
)
_FILTERS = (
    option(
        "--scenario",
        "scenarios",
        multiple=True,
        metavar="ID",
        shell_complete=suggest_scenarios,
        help="Targets of this scenario; repeatable.",
    ),
    option(
        "--executable",
        "executables",
        multiple=True,
        metavar="ID",
        shell_complete=suggest_executables,
        help="Targets of this executable; repeatable.",
    ),
    pattern_option(
        "--configuration",
        "configurations",
        metavar="ID|RE",
        shell_complete=suggest_configurations,
        help="Targets whose configuration has this id or matches by name; repeatable.",
    ),
    option(
        "--status",
        "statuses",
        type=click.Choice([str(one) for one in Status], case_sensitive=False),
        multiple=True,
        help="Targets in this status; `logs -f` adds targets that just left it; repeatable.",
    ),
)
color_option = option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colors; auto means on a terminal, unless NO_COLOR is set.",
)


def filter_options(command: _Command) -> _Command:
    return _decorated(command, _FILTERS)


def selector_options(command: _Command) -> _Command:
    return _decorated(command, (all_groups_option, *_KINDS, *_FILTERS, _ID))


def _decorated(command: _Command, options: Sequence[Callable[[Any], Any]]) -> _Command:
    for add in reversed(options):
        command = add(command)
    return command


_KIND_FLAGS = ("deployments", "executions")
_FILTER_FLAGS = ("scenarios", "executables", "configurations", "statuses", "ids")


def is_selecting(flags: Mapping[str, Any]) -> bool:
    return any(flags[name] for name in (*_KIND_FLAGS, *_FILTER_FLAGS))


def compile_selector(flags: Mapping[str, Any]) -> Selector | None:
    """The selector of the flags without its resource groups; None if no flag selects.

    Raises:
        ConfigError: Names the flag, its value and the remedy.
    """
    if flags["all_resource_groups"] and flags["resource_groups"]:
        raise ConfigError("-A and -g exclude each other", hint="-A means all resource groups")
    if not is_selecting(flags):
        return None
    kinds = tuple(kind for kind in Kind if flags[f"{kind}s"])
    return compile_filters(flags, kinds or tuple(Kind))


def compile_filters(flags: Mapping[str, Any], kinds: tuple[Kind, ...]) -> Selector:
    return Selector(
        resource_groups=None,
        kinds=kinds,
        scenarios=flags["scenarios"],
        executables=flags["executables"],
        configurations=patterns(flags["configurations"], "--configuration"),
        statuses=tuple(Status(one) for one in flags["statuses"]),
        ids=patterns(flags.get("ids", ()), "--id"),
    )
