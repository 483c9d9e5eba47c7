"""Query and tabulate what exists; the follow command.

One look at what there is, for somebody who waits for it.

Deployments and executions as a table for people.

The command that follows a target, as one would type it. Pure.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import anyio
import click

from tailer.aicore.client import AiCoreClient
from tailer.backoff import OutageNotice
from tailer.errors import PermanentApiError
from tailer.model import NO_FILTER, Kind, ListFilter, Status, Target, Workload
from tailer.text import visible
from tailer.timestamp import NS_PER_S, parse_ns


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list to ask for, as far as the service itself can narrow it down."""

    kind: Kind
    filter_by: ListFilter = NO_FILTER


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there was at `now_ns`, the service's time, and the groups that were not shown."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, PermanentApiError]
    now_ns: int

    def tell_refusals(self) -> None:
        """On stderr, for what could be listed is listed all the same."""
        for error in self.refusals.values():
            click.echo(visible(f"tailer: {error}"), err=True)


async def query_inventory(
    client: AiCoreClient, resource_groups: Sequence[str], questions: Iterable[ListRequest]
) -> Inventory:
    """The answers to all questions in all groups, each workload once.

    Errors: those of the client, but a refusal only if nothing is answered.
    """
    found: dict[Target, Workload] = {}
    refusals: dict[str, PermanentApiError] = {}
    answered: set[str] = set()

    async def ask(group: str, question: ListRequest) -> None:
        try:
            listed = await client.list(
                question.kind, group, question.filter_by, on_retry=OutageNotice()
            )
        except PermanentApiError as error:
            refusals.setdefault(group, error)
        else:
            answered.add(group)
            found.update((workload.target, workload) for workload in listed)

    async with anyio.create_task_group() as asking:
        for group, question in product(resource_groups, questions):
            asking.start_soon(ask, group, question)
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
_GIVE_WAY = ("SCENARIO", "CONFIGURATION")  # to the others, which are needed whole
_NARROW = 64  # columns; the others alone take some sixty


def newest_first(workloads: Iterable[Workload]) -> list[Workload]:
    """Those whose age is unknown come last."""
    return sorted(workloads, key=lambda one: (-created_ns(one), one.target))


def created_ns(workload: Workload) -> int:
    """0 if that is no date."""
    try:
        return parse_ns(workload.created_at)
    except ValueError:
        return 0


def age_text(workload: Workload, now_ns: int) -> str:
    """`3d`, `5h`, `12m`, `40s`: the largest unit is enough to tell old from new."""
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
    *,
    now_ns: int,
    width: int,
    in_color: bool,
    numbered: bool = False,
    with_groups: bool = False,
) -> str:
    """One line each, none longer than `width`; numbered from 1."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=not in_color, force_terminal=in_color, width=width, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    if numbered:
        table.add_column("#", justify="right", no_wrap=True)
    headings = ["TARGET", "STATUS", "AGE", *(_GIVE_WAY if width >= _NARROW else ())]
    for heading in [*(["GROUP"] if with_groups else []), *headings]:
        table.add_column(heading, no_wrap=heading not in _GIVE_WAY)
    for number, one in enumerate(workloads, 1):
        cells = [one.target.name, one.status, age_text(one, now_ns)]
        if width >= _NARROW:
            cells += [one.scenario_id, one.configuration_name]
        if with_groups:
            cells.insert(0, one.target.resource_group)
        texts = [Text(visible(cell), no_wrap=True, overflow="ellipsis") for cell in cells]
        texts[2 if with_groups else 1].stylize(_STYLES.get(one.status, ""))
        table.add_row(*([Text(str(number))] if numbered else []), *texts)
    with console.capture() as drawn:  # rich ends the program itself when a reader leaves
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in drawn.get().split("\n")[:-1])


_GROUP_FLAGS = ("-g", "--resource-group")
_ALL_GROUPS_FLAGS = ("-A", "--all-resource-groups")


def follow_command(
    target: Target, *, default_group: str | None, service_key_file: Path | None = None
) -> str:
    """`tailer logs -f deployment/d1`, with what it takes to mean the same again.

    `default_group` is the resource group that is meant when none is named.
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
    """The command of `words`, with `targets` named; in these groups if they are not None."""
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


RUNNING = {  # or about to
    Kind.DEPLOYMENT: (Status.RUNNING,),
    Kind.EXECUTION: (Status.RUNNING, Status.PENDING, Status.UNKNOWN),
}


def is_running(workload: Workload) -> bool:
    """Whether it is worth following by somebody who names nothing."""
    return workload.status in RUNNING[workload.target.kind]
