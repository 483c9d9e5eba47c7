"""Listing of workloads when some requests are forbidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tailer.aicore.client import AiCoreClient
from tailer.cli.inventory import ListRequest, query_inventory
from tailer.errors import PermanentApiError
from tailer.model import Kind, Status, Target, Workload


@dataclass
class Service:
    """Has one of each kind, and shows those of `allowed`."""

    allowed: Sequence[Kind]

    async def list(self, kind: Kind, resource_group: str, *_: Any, **__: Any) -> Sequence[Workload]:
        if kind not in self.allowed:
            raise PermanentApiError(f"{kind}s: 403 Forbidden", status=403)
        return [Workload(Target(resource_group, kind, "x1234567"), Status.RUNNING)]

    def server_now_ns(self) -> int:
        return 1


QUESTIONS = [ListRequest(kind) for kind in Kind]


async def test_permitted_kinds_are_listed_if_another_is_forbidden() -> None:
    client = cast(AiCoreClient, Service([Kind.EXECUTION]))

    seen = await query_inventory(client, ["default"], QUESTIONS)

    assert [one.target.kind for one in seen.workloads] == [Kind.EXECUTION]
    assert [*seen.refusals] == ["default"]


async def test_it_is_an_error_if_every_kind_is_forbidden() -> None:
    with pytest.raises(PermanentApiError):
        await query_inventory(cast(AiCoreClient, Service([])), ["default", "team-a"], QUESTIONS)
