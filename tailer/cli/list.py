"""`tailer list`: deployments and executions, as a table for people or JSON for programs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec

from tailer.cli.options import color_option, option, resource_group_option, service_key_option
from tailer.cli.service import Hiccups, client_for, credentials_for, groups_for
from tailer.cli.streams import open_stdout, start_stderr, wants_colour
from tailer.model import Kind, Status, Workload
from tailer.sinks.escape import visible
from tailer.timestamp import NS_PER_S, parse_ns

_STYLES = {
    Status.RUNNING: "green",
    Status.COMPLETED: "cyan",
    Status.DEAD: "red",
    Status.STOPPED: "yellow",
}

_EPILOG = """\
\b
Examples:
  tailer list                          everything in the default resource group
  tailer list executions --status DEAD what failed
  tailer list -o json | jq -r .target  for programs: one JSON object a line
"""


@click.command("list", epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["deployments", "executions"]), required=False)
@resource_group_option
@service_key_option
@option("--scenario", metavar="ID", help="Only of this scenario.")
@option(
    "--status",
    type=click.Choice([str(one) for one in Status], case_sensitive=False),
    help="Only in this status.",
)
@option(
    "-o",
    "--output",
    show_envvar=True,
    variable="TAILER_LIST_OUTPUT",  # TAILER_OUTPUT is that of `logs`, with other values
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or one JSON object a line.",
)
@color_option
def list_command(
    *,
    kind: str | None,
    resource_groups: tuple[str, ...],
    service_key_file: Path | None,
    scenario: str | None,
    status: str | None,
    output: str,
    color: str,
) -> None:
    """List deployments and executions, newest first."""
    start_stderr(color)
    open_stdout()
    kinds = tuple(one for one in Kind if kind is None or kind == f"{one}s")

    async def ask() -> tuple[list[Workload], int | None]:
        credentials = credentials_for(service_key_file)
        found: list[Workload] = []
        async with client_for(credentials) as client:
            for group in groups_for(resource_groups, credentials):
                for one in kinds:
                    found += await client.list(
                        one,
                        group,
                        scenario_id=scenario,
                        status=None if status is None else Status(status),
                        on_trouble=Hiccups(),
                    )
            return found, client.server_now_ns()

    workloads, now_ns = anyio.run(ask)
    workloads.sort(key=lambda one: one.created_at, reverse=True)
    if output == "json":
        for workload in workloads:
            click.echo(msgspec.json.encode(_row(workload)))
        return
    if not workloads:
        click.echo("nothing found", err=True)
        return
    _print_table(workloads, now_ns=now_ns or 0, color=color)


def _row(workload: Workload) -> dict[str, Any]:
    return {
        "target": workload.target.name,
        "resource_group": workload.target.resource_group,
        "kind": workload.target.kind,
        "id": workload.target.id,
        "status": workload.status,
        "scenario_id": workload.scenario_id,
        "executable_id": workload.executable_id,
        "configuration_name": workload.configuration_name,
        "created_at": workload.created_at,
        "status_message": workload.status_message,
    }


def _print_table(workloads: Sequence[Workload], *, now_ns: int, color: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_terminal = sys.stdout.isatty()
    has_colour = wants_colour(color, os.environ, is_terminal=is_terminal)
    console = Console(
        no_color=not has_colour,
        force_terminal=has_colour,
        width=None if is_terminal else 200,
        highlight=False,
    )
    several_groups = len({one.target.resource_group for one in workloads}) > 1
    headings = ["TARGET", "STATUS", "AGE", "SCENARIO", "CONFIGURATION"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (["GROUP"] if several_groups else []) + headings:
        table.add_column(heading, no_wrap=heading not in {"SCENARIO", "CONFIGURATION"})
    for one in workloads:
        cells = [one.target.resource_group] if several_groups else []
        cells += [one.target.name, one.status, _age(one.created_at, now_ns)]
        cells += [one.scenario_id, one.configuration_name]
        texts = [Text(visible(cell), no_wrap=True, overflow="ellipsis") for cell in cells]
        texts[-4].stylize(_STYLES.get(one.status, ""))
        table.add_row(*texts)
    with console.capture() as drawn:  # rich ends the program itself when a reader leaves
        console.print(table)
    click.echo(drawn.get(), nl=False, color=has_colour)


def _age(created_at: str, now_ns: int) -> str:
    """`3d`, `5h`, `12m`, `40s`: the largest unit is enough to tell old from new."""
    try:
        seconds = max(0, (now_ns - parse_ns(created_at)) // NS_PER_S)
    except ValueError:
        return "-"
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"
