"""`tailer list`: deployments and executions, as a table for people or JSON for programs."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec

from tailer.backoff import OutageNotice
from tailer.cli.completion import suggest_configurations, suggest_executables, suggest_scenarios
from tailer.cli.context import client_for, credentials_for, groups_for
from tailer.cli.inventory import (
    Inventory,
    ListRequest,
    follow_command,
    is_running,
    newest_first,
    query_inventory,
    table_text,
)
from tailer.cli.options import (
    PATTERN,
    color_option,
    option,
    output_option,
    resource_group_option,
    service_key_option,
)
from tailer.cli.streams import open_stdout, start_stderr, wants_color
from tailer.discovery.selector import Selector
from tailer.model import Kind, ListFilter, Status, Workload
from tailer.sinks.lines import compile_pattern
from tailer.text import visible

_PIPE_COLUMNS = 200
_GROUP_VARIABLE = "TAILER_RESOURCE_GROUP"  # the default of -g

_EPILOG = """\
\b
Examples:
  tailer list                          all targets in the default resource group
  tailer list -A --status RUNNING      what is running, in all resource groups
  tailer list executions --status DEAD what failed
  tailer list -o json | jq -r .follow  for programs: one JSON object a line
"""


@click.command("list", epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["deployments", "executions"]), required=False)
@resource_group_option
@option(
    "-A",
    "--all-resource-groups",
    is_flag=True,
    help="In all resource groups that the service key may read, instead of -g.",
)
@service_key_option
@option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="ID",
    shell_complete=suggest_scenarios,
    help="Only of this scenario.",
)
@option(
    "--executable",
    "executables",
    multiple=True,
    metavar="ID",
    shell_complete=suggest_executables,
    help="Only of this executable.",
)
@option(
    "--configuration",
    "configurations",
    type=PATTERN,
    multiple=True,
    metavar="RE",
    shell_complete=suggest_configurations,
    help="Only of this configuration: its id, or a part of its name.",
)
@option(
    "--status",
    "statuses",
    type=click.Choice([str(one) for one in Status], case_sensitive=False),
    multiple=True,
    help="Only in this status. All four are repeatable.",
)
@output_option("list", "table")
@color_option
def list_command(
    *,
    kind: str | None,
    resource_groups: tuple[str, ...],
    all_resource_groups: bool,
    service_key_file: Path | None,
    scenarios: tuple[str, ...],
    executables: tuple[str, ...],
    configurations: tuple[str, ...],
    statuses: tuple[str, ...],
    output: str,
    color: str,
) -> None:
    """List deployments and executions, newest first.

    `tailer logs -f TARGET` follows one of them. In JSON, `follow` is that command.
    """
    start_stderr(color)
    open_stdout()
    selector = Selector(
        resource_groups=None,
        kinds=tuple(one for one in Kind if kind is None or kind == f"{one}s"),
        scenarios=scenarios,
        executables=executables,
        configurations=tuple(compile_pattern(one, "--configuration") for one in configurations),
        statuses=tuple(Status(status) for status in statuses),
    )
    credentials = credentials_for(service_key_file)

    async def query() -> Inventory:
        async with client_for(credentials) as client:
            groups: Sequence[str] = groups_for(resource_groups, credentials)
            if all_resource_groups:
                groups = await client.resource_groups(on_retry=OutageNotice())
            return await query_inventory(client, groups, _requests(selector))

    seen = anyio.run(query)
    seen.report_refusals()
    listed = newest_first(filter(selector.matches, seen.workloads))
    default_group_name = None if _GROUP_VARIABLE in os.environ else groups_for((), credentials)[0]

    def follow(workload: Workload) -> str:
        return follow_command(
            workload.target, default_group=default_group_name, service_key_file=service_key_file
        )

    if output == "json":
        for workload in listed:
            click.echo(msgspec.json.encode(_row(workload) | {"follow": follow(workload)}))
        return
    if not listed:
        click.echo("nothing found", err=True)
        return
    _print_table(listed, now_ns=seen.now_ns, color=color)
    _print_follow_hint(listed, follow, color=color)


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


def _requests(selector: Selector) -> list[ListRequest]:
    """List requests that filter at the service: thousands of executions may have ended."""
    combined = product(selector.kinds, selector.scenarios or ("",), selector.statuses or (None,))
    return [
        ListRequest(
            kind,
            ListFilter(scenario_id=scenario, executable_ids=selector.executables, status=status),
        )
        for kind, scenario, status in combined
    ]


def _print_table(workloads: Sequence[Workload], *, now_ns: int, color: str) -> None:
    is_terminal = sys.stdout.isatty()
    in_color = wants_color(color, os.environ, is_terminal=is_terminal)
    table = table_text(
        workloads,
        now_ns=now_ns,
        width=shutil.get_terminal_size().columns if is_terminal else _PIPE_COLUMNS,
        in_color=in_color,
        with_groups=len({one.target.resource_group for one in workloads}) > 1,
    )
    click.echo(table, nl=False, color=in_color)


def _print_follow_hint(
    listed: Sequence[Workload], follow: Callable[[Workload], str], *, color: str
) -> None:
    """Print an example follow command for a running target, on a terminal only."""
    if sys.stderr is None or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return
    example = next(filter(is_running, listed), listed[0])
    dim = wants_color(color, os.environ, is_terminal=True)
    text = visible(f"follow one: {follow(example)}")
    click.echo(f"\x1b[2m{text}\x1b[0m" if dim else text, err=True, color=dim)
