"""Query which deployments and executions exist, print them as a table, name the follow command."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from tailer.aicore.client import AiCoreClient
from tailer.backoff import OutageNotice
from tailer.errors import PermanentApiError
from tailer.model import NO_FILTER, Kind, ListFilter, Status, Target, Workload
from tailer.text import visible
from tailer.timestamp import NS_PER_S, ns_or_none

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One list request, with the filters that the service itself applies."""

    kind: Kind
    filter_by: ListFilter = NO_FILTER


@dataclass(frozen=True, slots=True)
class Inventory:
    """The workloads listed at `now_ns` (service time), and the groups that refused."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, PermanentApiError]
    now_ns: int

    def report_refusals(self) -> None:
        """Print each refusal on stderr; the other groups are listed all the same."""
        for error in self.refusals.values():
            click.echo(visible(f"tailer: {error}"), err=True)


async def query_inventory(
    client: AiCoreClient, resource_groups: Sequence[str] | None, requests: Iterable[ListRequest]
) -> Inventory:
    """Send every request to every group (None: all groups); each workload is returned once.

    Errors: those of the client; a PermanentApiError only if every group refused.
    """
    found: dict[Target, Workload] = {}
    refusals: dict[str, PermanentApiError] = {}
    answered: set[str] = set()
    if resource_groups is None:
        resource_groups = await client.resource_groups(on_retry=OutageNotice())

    async def query(group: str, request: ListRequest) -> None:
        try:
            listed = await client.list(
                request.kind, group, request.filter_by, on_retry=OutageNotice()
            )
        except PermanentApiError as error:
            refusals.setdefault(group, error)
        else:
            answered.add(group)
            found.update((workload.target, workload) for workload in listed)

    async with anyio.create_task_group() as tasks:
        for group, request in product(resource_groups, requests):
            tasks.start_soon(query, group, request)
    if refusals and not answered:
        raise next(iter(refusals.values()))
    in_order = {group: refusals[group] for group in resource_groups if group in refusals}
    return Inventory([*found.values()], in_order, client.server_now_ns() or 0)


_STYLES = {
    Status.RUNNING: "green",
    Status.COMPLETED: "cyan",
    Status.DEAD: "red",
    Status.STOPPED: "yellow",
}
_OPTIONAL_COLUMNS = ("SCENARIO", "CONFIGURATION")  # cut or left out on a narrow terminal
_NARROW_COLUMNS = 64  # the other columns alone take about sixty


def newest_first(workloads: Iterable[Workload]) -> list[Workload]:
    """Newest first; workloads of unknown age come last."""
    return sorted(workloads, key=lambda one: (-created_ns(one), one.target))


def created_ns(workload: Workload) -> int:
    """When the workload was created; 0 if the service's text is no date."""
    return ns_or_none(workload.created_at) or 0


def age_text(workload: Workload, now_ns: int) -> str:
    """The age in its largest unit: `3d`, `5h`, `12m`, `40s`; `-` if unknown."""
    began_ns = created_ns(workload)
    if not began_ns:
        return "-"
    seconds = max(0, (now_ns - began_ns) // NS_PER_S)
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"


def table_text(
    workloads: Sequence[Workload],
    console: "Console",
    *,
    now_ns: int,
    numbered: bool = False,
    with_groups: bool = False,
) -> str:
    """One line per workload, at most as wide as the console; numbered from 1."""
    from rich.table import Table
    from rich.text import Text

    is_wide = console.width >= _NARROW_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    if numbered:
        table.add_column("#", justify="right", no_wrap=True)
    headings = ["TARGET", "STATUS", "AGE", *(_OPTIONAL_COLUMNS if is_wide else ())]
    for heading in [*(["GROUP"] if with_groups else []), *headings]:
        table.add_column(heading, no_wrap=heading not in _OPTIONAL_COLUMNS)
    for number, one in enumerate(workloads, 1):
        cells = [one.target.name, one.status, age_text(one, now_ns)]
        if is_wide:
            cells += [one.scenario_id, one.configuration_name]
        if with_groups:
            cells.insert(0, one.target.resource_group)
        texts = [Text(visible(cell), no_wrap=True, overflow="ellipsis") for cell in cells]
        texts[2 if with_groups else 1].stylize(_STYLES.get(one.status, ""))
        table.add_row(*([Text(str(number))] if numbered else []), *texts)
    with console.capture() as drawn:  # rich would exit the process when stdout is closed
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in drawn.get().split("\n")[:-1])


_GROUP_FLAGS = ("-g", "--resource-group")
_ALL_GROUPS_FLAGS = ("-A", "--all-resource-groups")


def follow_command(
    target: Target, *, default_group: str | None, service_key_file: Path | None = None
) -> str:
    """The command line that follows `target`, such as `tailer logs -f deployment/d1`.

    `default_group` needs no -g.
    """
    words = ["tailer", "logs", "-f"]
    if service_key_file is not None:
        words += ["--service-key-file", str(service_key_file)]
    if target.resource_group != default_group:
        words += ["-g", target.resource_group]
    return shlex.join([*words, target.name])


def command_again(
    words: Sequence[str], targets: Sequence[Target], *, resource_groups: Sequence[str] | None
) -> str:
    """The command line `words` with `targets` named, in these groups if they are given."""
    if resource_groups is not None:
        words = _without_groups(words)
        words += [word for group in resource_groups for word in ("-g", group)]
    return shlex.join(["tailer", *words, *(target.name for target in targets)])


def _without_groups(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    is_value = False
    for word in words:
        flag, _, value = word.partition("=")
        if is_value or word in _ALL_GROUPS_FLAGS:
            is_value = False
        elif flag in _GROUP_FLAGS:
            is_value = not value
        else:
            kept.append(word)
    return kept


RUNNING = {  # running, or about to start
    Kind.DEPLOYMENT: (Status.RUNNING,),
    Kind.EXECUTION: (Status.RUNNING, Status.PENDING, Status.UNKNOWN),
}


def is_running(workload: Workload) -> bool:
    """Whether the workload is offered when no target is named."""
    return workload.status in RUNNING[workload.target.kind]
