"""What flags have in common: their names in the environment, and values that are parsed once."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tailer.cli.suggestions import suggest_groups
from tailer.config.units import parse_duration
from tailer.timestamp import NS_PER_S, parse_ns

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LONGEST_S = 1e11  # some 3,000 years; what is longer is a slip, or no number at all


def option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """A click option that can also be set as TAILER_<LONG NAME>, or as `variable` says."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = settings.pop("variable", None) or (
        "TAILER_" + long.removeprefix("--").replace("-", "_").upper()
    )
    return click.option(*names, envvar=variable, **settings)


def output_option(
    command: str, human: str, *, description: str = "For people, or one JSON object a line."
) -> Callable[[_Command], _Command]:
    """-o of a command that is not `logs`: TAILER_OUTPUT is that one's, with other values."""
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


class Duration(click.ParamType[float]):
    """`10m`, `1h30m`, `2d`, `500ms` as seconds; a bare number is seconds."""

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


@dataclass(frozen=True, slots=True)
class When:
    """A point in time: so long ago by the service's clock, or a date."""

    ago_s: float | None = None
    at_ns: int | None = None

    def resolve_ns(self, now_ns: int) -> int:
        if self.at_ns is not None:
            return self.at_ns
        assert self.ago_s is not None
        return max(0, now_ns - round(self.ago_s * NS_PER_S))


class WhenType(click.ParamType[When]):
    """`10m` (that long ago), or an RFC 3339 time."""

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
    return seconds if seconds is not None and seconds <= _LONGEST_S else None


class PatternType(click.ParamType[str]):
    """A regular expression, compiled later. In a variable one a line, since they hold spaces."""

    name = "regular expression"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def split_envvar_value(self, rv: str) -> list[str]:
        return rv.splitlines()


DURATION = Duration()
WHEN = WhenType()
PATTERN = PatternType()


def resource_group_option(command: _Command) -> _Command:
    return option(
        "-g",
        "--resource-group",
        "resource_groups",
        multiple=True,
        metavar="GROUP",
        shell_complete=suggest_groups,
        help="Resource group; may be repeated. [default: AICORE_RESOURCE_GROUP, else default]",
    )(command)


def service_key_option(command: _Command) -> _Command:
    return option(
        "--service-key-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Service key (JSON) to use instead of AICORE_*, ~/.aicore and VCAP_SERVICES.",
    )(command)


def color_option(command: _Command) -> _Command:
    return option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colours; auto means on a terminal, unless NO_COLOR is set.",
    )(command)
