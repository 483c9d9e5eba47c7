"""One look at what there is, for somebody who waits for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import anyio
import click

from tailer.aicore.client import AiCoreClient
from tailer.cli.service import Hiccups
from tailer.errors import PermanentApiError
from tailer.model import Kind, Status, Target, Workload
from tailer.sinks.escape import visible


@dataclass(frozen=True, slots=True)
class Question:
    """A list to ask for, as far as the service itself can narrow it down."""

    kind: Kind
    status: Status | None = None
    scenario_id: str | None = None
    executable_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """What there was at `now_ns`, the service's time, and the groups that were not shown."""

    workloads: Sequence[Workload]
    refusals: Mapping[str, PermanentApiError]
    now_ns: int

    def tell_refusals(self) -> None:
        """On stderr, for what could be listed is listed all the same."""
        for error in self.refusals.values():
            click.echo(visible(f"tailer: {error}"), err=True)


async def look(
    client: AiCoreClient, resource_groups: Sequence[str], questions: Iterable[Question]
) -> Overview:
    """The answers to all questions in all groups, each workload once.

    Errors: those of the client, but a refusal only if nothing is answered.
    """
    found: dict[Target, Workload] = {}
    refusals: dict[str, PermanentApiError] = {}
    answered: set[str] = set()

    async def ask(group: str, question: Question) -> None:
        try:
            listed = await client.list(
                question.kind,
                group,
                scenario_id=question.scenario_id,
                executable_ids=question.executable_ids,
                status=question.status,
                on_trouble=Hiccups(),
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
    return Overview([*found.values()], in_order, client.server_now_ns() or 0)
