"""`tailer list`: deployments and executions, as a table for people or JSON for programs."""

import os
import sys
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import anyio
import click
import msgspec

from tailer.cli.context import client_for, credentials_for, groups_for, groups_of
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
    all_groups_option,
    color_option,
    compile_filters,
    filter_options,
    output_option,
    resource_group_option,
    service_key_option,
)
from tailer.cli.streams import open_stdout, start_stderr, stdout_console, wants_color
from tailer.discovery.selector import Selector
from tailer.model import Kind, ListFilter, Workload
from tailer.text import visible

_GROUP_VARIABLE = "TAILER_RESOURCE_GROUP"  # the default of -g

_EPILOG = """\
\b
Examples:
  tailer list                           targets of the default resource group
  tailer list -A --status RUNNING       running targets of all resource groups
  tailer list executions --status DEAD  failed executions
  tailer list -o json | jq -r .follow   for programs: one JSON object a line
"""


@click.command("list", epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["deployments", "executions"]), required=False)
@resource_group_option
@all_groups_option
@service_key_option
@filter_options
@output_option("list", "table")
@color_option
def list_command(*, kind: str | None, output: str, color: str, **flags: Any) -> None:
    """List deployments and executions, newest first.

    `tailer logs -f TARGET` follows one of them. In JSON, `follow` is that command.
    """
    start_stderr(color)
    open_stdout()
    kinds = tuple(one for one in Kind if kind is None or kind == f"{one}s")
    selector = compile_filters(flags, kinds)
    service_key_file = flags["service_key_file"]
    credentials = credentials_for(service_key_file)

    async def query() -> Inventory:
        async with client_for(credentials) as client:
            return await query_inventory(client, groups_of(flags, credentials), _requests(selector))

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
    console = stdout_console(color)
    with_groups = len({one.target.resource_group for one in listed}) > 1
    table = table_text(listed, console, now_ns=seen.now_ns, with_groups=with_groups)
    click.echo(table, nl=False, color=not console.no_color)
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


def _print_follow_hint(
    listed: Sequence[Workload], follow: Callable[[Workload], str], *, color: str
) -> None:
    """Print an example follow command for a running target, on a terminal only."""
    if sys.stderr is None or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return
    example = next(filter(is_running, listed), listed[0])
    in_color = wants_color(color, os.environ, is_terminal=True)
    text = visible(f"follow one: {follow(example)}")
    click.secho(text, dim=True, err=True, color=in_color)
