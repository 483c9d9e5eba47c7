"""`tailer logs -f` without a target, on a terminal: choose from what is running."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import anyio
import click

from tailer.aicore.credentials import Credentials
from tailer.cli.context import client_for, credentials_for, groups_of
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


def picked(answer: str, visible_rows: Sequence[Workload]) -> list[Workload] | None:
    """The rows chosen by `a`, `2`, `1,3-5` or `1 3`, each once; None for a text to filter by.

    Raises:
        ValueError: A number is not on the list; the message names the valid range.
    """
    answer = answer.strip().strip(",").lower()
    if answer in _ALL:
        return list(visible_rows)
    if _NUMBERS.fullmatch(answer) is None:
        return None
    chosen: dict[int, Workload] = {}
    for part in re.findall(_RANGE, answer):
        first, _, last = part.partition("-")
        numbers = sorted((int(first), int(last or first)))
        for number in numbers:
            if not 1 <= number <= len(visible_rows):
                raise ValueError(f"{number} is not between 1 and {len(visible_rows)}")
        chosen |= {number: visible_rows[number - 1] for number in range(numbers[0], numbers[1] + 1)}
    return list(chosen.values())


def found(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """The workloads in which every word of `text` occurs, in any field and case."""
    words = text.casefold().split()
    return [one for one in workloads if all(word in _search_text(one) for word in words)]


def named(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """The workloads with exactly this id or name."""
    return [one for one in workloads if text.strip() in {one.target.id, one.target.name}]


def _search_text(workload: Workload) -> str:
    target = workload.target
    fields = (
        target.name,
        target.resource_group,
        workload.status,
        workload.scenario_id,
        workload.executable_id,
        workload.configuration_name,
    )
    return "\n".join(fields).casefold()


_MAX_ROWS = 50
_MIN_ROWS = 5  # even on a very low terminal
_OTHER_ROWS = 4  # heading, number of rows left out, prompt, newline after the answer

Show: TypeAlias = Callable[[Sequence[Workload], int], None]
"""Print these rows, and how many more exist."""


def needs_choice(flags: Mapping[str, Any]) -> bool:
    """Whether `-f` has no target, and stdin and stderr are a terminal to ask on."""
    if not flags["follow"] or flags["targets"]:
        return False
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def with_choice(flags: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The flags of `tailer logs`, completed by an interactive choice of running targets.

    `words` is the command line; it is printed again with the chosen targets.

    Raises:
        NotFoundError: Nothing is running.
        ConfigError: Nothing was chosen.
        click.Abort: Ctrl-C.
    """
    from rich.console import Console

    in_color = wants_color(flags["color"], os.environ, is_terminal=True)
    credentials = credentials_for(flags["service_key_file"])
    groups = groups_of(flags, credentials)
    seen = anyio.run(_query_running, groups, credentials)
    has_groups = len({one.target.resource_group for one in seen.workloads}) > 1

    def show(rows: Sequence[Workload], left_out: int) -> None:
        width, _ = _size()
        console = Console(
            no_color=not in_color, force_terminal=in_color, width=width, highlight=False
        )
        table = table_text(rows, console, now_ns=seen.now_ns, numbered=True, with_groups=has_groups)
        click.echo(table, nl=False, err=True, color=in_color)
        if left_out:
            text = f"… and {left_out} more: type a text to filter"
            click.secho(text, dim=True, err=True, color=in_color)

    chosen = _ask(newest_first(seen.workloads), show)
    used = tuple(dict.fromkeys(one.target.resource_group for one in chosen))
    if not flags["quiet"]:
        again = command_again(
            words,
            [one.target for one in chosen],
            resource_groups=None if groups and set(used) == set(groups) else used,
        )
        click.secho(visible(again), dim=True, err=True, color=in_color)
    names = tuple(one.target.name for one in chosen)
    return {**flags, "targets": names, "resource_groups": used, "all_resource_groups": False}


async def _query_running(groups: Sequence[str] | None, credentials: Credentials) -> Inventory:
    """What is running in these groups, or in all groups. Refused groups are named on stderr.

    Raises:
        NotFoundError: Nothing is running.
    """
    async with client_for(credentials) as client:
        where = f"resource group {', '.join(groups)}" if groups else "any resource group"
        requests = [
            ListRequest(kind, ListFilter(status=status))
            for kind, statuses in RUNNING.items()
            for status in statuses
        ]
        seen = await query_inventory(client, groups, requests)
        seen.report_refusals()
        if seen.workloads:
            return seen
        everything = await query_inventory(client, groups, [ListRequest(kind) for kind in Kind])
    raise NotFoundError(
        f"nothing is running in {where} ({summarize_workloads(everything.workloads)})",
        hint="`tailer list` shows what has ended; -g selects another resource group",
    )


def _ask(running: Sequence[Workload], show: Show) -> list[Workload]:
    rows = _show_rows(running, show)
    while True:
        answer = _read_answer(len(rows))
        if len(exactly := named(answer, running)) == 1:
            return exactly
        try:
            numbered = picked(answer, rows)
        except ValueError as error:
            click.echo(str(error), err=True)
            continue
        if numbered is not None:
            return numbered
        if matching := found(answer, running):
            rows = _show_rows(matching, show)
        else:
            click.echo(visible(f"no running target contains {answer!r}"), err=True)


def _show_rows(matching: Sequence[Workload], show: Show) -> Sequence[Workload]:
    """Show the newest rows that fit on the terminal, and return them."""
    _, height = _size()
    rows = matching[: min(_MAX_ROWS, max(_MIN_ROWS, height - _OTHER_ROWS))]
    show(rows, len(matching) - len(rows))
    return rows


def _read_answer(count: int) -> str:
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
        raise ConfigError("nothing chosen", hint="`tailer list` shows all targets")
    return line.strip()


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal; 80 x 24 if the terminal does not report them."""
    columns, lines = os.get_terminal_size(sys.stderr.fileno())
    return columns or 80, lines or 24
