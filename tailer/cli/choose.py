"""Interactive choice.

What somebody types when asked which of a list to follow. Pure.

`tailer logs -f` without a target: what is running, to choose from, on a terminal.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import anyio
import click

from tailer.aicore.credentials import Credentials
from tailer.backoff import OutageNotice
from tailer.cli.context import client_for, credentials_for, groups_for
from tailer.cli.inventory import (
    RUNNING,
    Inventory,
    ListRequest,
    command_again,
    newest_first,
    query_inventory,
    table_text,
)
from tailer.cli.streams import wants_color
from tailer.discovery.selector import summarize_workloads
from tailer.errors import ConfigError, NotFoundError
from tailer.model import Kind, ListFilter, Workload
from tailer.text import visible

_RANGE = r"[0-9]{1,9}(?:\s*-\s*[0-9]{1,9})?"
_NUMBERS = re.compile(rf"{_RANGE}(?:[\s,]+{_RANGE})*")
_ALL = ("a", "all")


def picked(answer: str, shown: Sequence[Workload]) -> list[Workload] | None:
    """Those meant by `a`, `2`, `1,3-5` or `1 3`, each once; None if it is a text to look for.

    Raises:
        ValueError: A number that is not shown; its text says so.
    """
    answer = answer.strip().strip(",").lower()
    if answer in _ALL:
        return list(shown)
    if _NUMBERS.fullmatch(answer) is None:
        return None
    chosen: dict[int, Workload] = {}
    for part in re.findall(_RANGE, answer):
        first, _, last = part.partition("-")
        numbers = sorted((int(first), int(last or first)))
        for number in numbers:
            if not 1 <= number <= len(shown):
                raise ValueError(f"there is no {number}, only 1 to {len(shown)}")
        chosen |= {number: shown[number - 1] for number in range(numbers[0], numbers[1] + 1)}
    return list(chosen.values())


def found(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """Those that have every word of `text` somewhere, in whatever case."""
    words = text.casefold().split()
    return [one for one in workloads if all(word in _told(one) for word in words)]


def named(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """Those whose whole id or name this is."""
    return [one for one in workloads if text.strip() in {one.target.id, one.target.name}]


def _told(workload: Workload) -> str:
    target = workload.target
    said = (
        target.name,
        target.resource_group,
        workload.status,
        workload.scenario_id,
        workload.executable_id,
        workload.configuration_name,
    )
    return "\n".join(said).casefold()


_MOST_ROWS = 50
_FEWEST_ROWS = 5  # on however low a terminal
_OTHER_ROWS = 4  # heading, what is left out, the question, and the answer's newline
_DIM = "\x1b[2m{}\x1b[0m"

Show: TypeAlias = Callable[[Sequence[Workload], int], None]
"""Draws these, and tells how many more there are."""


def is_open(flags: Mapping[str, Any]) -> bool:
    """Whether it is not said what to follow, and there is somebody to ask."""
    if not flags["follow"] or flags["targets"]:
        return False
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def with_choice(flags: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The flags of `tailer logs` with what somebody wants to follow, of all that is running.

    `words` are those of the command line, to tell how to follow the same again.

    Raises:
        NotFoundError: Nothing is running.
        ConfigError: Nothing was chosen.
        click.Abort: Ctrl-C.
    """
    in_color = wants_color(flags["color"], os.environ, is_terminal=True)
    credentials = credentials_for(flags["service_key_file"])
    groups = None
    if not flags["all_resource_groups"]:
        groups = groups_for(flags["resource_groups"], credentials)
    seen = anyio.run(_look, groups, credentials)
    has_groups = len({one.target.resource_group for one in seen.workloads}) > 1

    def show(shown: Sequence[Workload], left_out: int) -> None:
        width, _ = _size()
        table = table_text(
            shown,
            now_ns=seen.now_ns,
            width=width,
            in_color=in_color,
            numbered=True,
            with_groups=has_groups,
        )
        click.echo(table, nl=False, err=True, color=in_color)
        if left_out:
            _remark(f"… and {left_out} more: type a text to filter", in_color=in_color)

    chosen = _ask(newest_first(seen.workloads), show)
    used = tuple(dict.fromkeys(one.target.resource_group for one in chosen))
    if not flags["quiet"]:
        again = command_again(
            words,
            [one.target for one in chosen],
            resource_groups=None if groups and set(used) == set(groups) else used,
        )
        _remark(visible(again), in_color=in_color)
    names = tuple(one.target.name for one in chosen)
    return {**flags, "targets": names, "resource_groups": used, "all_resource_groups": False}


async def _look(groups: Sequence[str] | None, credentials: Credentials) -> Inventory:
    """What is running in these groups, or in all; one that is refused is named on stderr.

    Raises:
        NotFoundError: Nothing is.
    """
    async with client_for(credentials) as client:
        where = f"resource group {', '.join(groups)}" if groups else "any resource group"
        if groups is None:
            groups = await client.resource_groups(on_retry=OutageNotice())
        asked = [
            ListRequest(kind, ListFilter(status=status))
            for kind, statuses in RUNNING.items()
            for status in statuses
        ]
        seen = await query_inventory(client, groups, asked)
        seen.tell_refusals()
        if seen.workloads:
            return seen
        everything = await query_inventory(client, groups, [ListRequest(kind) for kind in Kind])
    raise NotFoundError(
        f"nothing is running in {where}; there is {summarize_workloads(everything.workloads)}",
        hint="`tailer list` shows it; -g picks another resource group",
    )


def _ask(running: Sequence[Workload], show: Show) -> list[Workload]:
    shown = _shown(running, show)
    while True:
        answer = _answer(len(shown))
        if len(exactly := named(answer, running)) == 1:
            return exactly
        try:
            numbered = picked(answer, shown)
        except ValueError as error:
            click.echo(str(error), err=True)
            continue
        if numbered is not None:
            return numbered
        if matching := found(answer, running):
            shown = _shown(matching, show)
        else:
            click.echo(visible(f"nothing that is running has {answer!r}"), err=True)


def _shown(matching: Sequence[Workload], show: Show) -> Sequence[Workload]:
    """As many as there is room for, the newest."""
    _, height = _size()
    shown = matching[: min(_MOST_ROWS, max(_FEWEST_ROWS, height - _OTHER_ROWS))]
    show(shown, len(matching) - len(shown))
    return shown


def _remark(text: str, *, in_color: bool) -> None:
    click.echo(_DIM.format(text) if in_color else text, err=True, color=in_color)


def _answer(count: int) -> str:
    numbers = "1" if count == 1 else f"1-{count}"
    click.echo(f"follow which? {numbers}, a for all, a text to filter: ", nl=False, err=True)
    try:
        line = sys.stdin.buffer.readline().decode(errors="replace")
    except KeyboardInterrupt as error:
        click.echo(err=True)
        raise click.Abort from error
    if not line:
        click.echo(err=True)
    if not line.strip():
        raise ConfigError("nothing chosen", hint="`tailer list` shows what else there is")
    return line.strip()


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal; a usual one if it does not say."""
    columns, lines = os.get_terminal_size(sys.stderr.fileno())
    return columns or 80, lines or 24
