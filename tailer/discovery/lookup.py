"""Resolve a name or a bare id to targets; wait until a target exists."""

from collections.abc import Sequence
from typing import Protocol

from tailer.backoff import OnRetry
from tailer.clock import Clock
from tailer.errors import ConfigError, NotFoundError, PermanentApiError
from tailer.model import Kind, Target, Workload


class TargetSource(Protocol):
    """The part of the service that a lookup needs. It retries requests without end."""

    async def get(self, target: Target, *, on_retry: OnRetry) -> Workload: ...


async def find_target(
    source: TargetSource, name: str, *, resource_groups: Sequence[str], on_retry: OnRetry
) -> list[Workload]:
    """Resolve `name` (`deployment/ID`, `execution/ID` or a bare ID) in these groups.

    A refusal of one group is raised only if no other group answers, as ids are unique.

    Raises:
        ConfigError: Not a name, or the id of a deployment and of an execution.
        NotFoundError: In none of the groups.
    """
    kinds, id_ = kinds_and_id(name)
    found: list[Workload] = []
    refusals: list[PermanentApiError] = []
    is_not_found = False
    for group in resource_groups:
        for kind in kinds:
            try:
                found.append(await source.get(Target(group, kind, id_), on_retry=on_retry))
            except NotFoundError:
                is_not_found = True
            except PermanentApiError as error:
                refusals.append(error)
    if not found:
        if refusals and not is_not_found:
            raise refusals[0]
        groups = ", ".join(resource_groups)
        refused = "".join(f"; {error.message}" for error in refusals[:1])
        raise NotFoundError(
            f"no {' or '.join(kinds)} {id_} in resource group {groups}{refused}",
            hint="`tailer list` shows all targets; -g selects another resource group",
        )
    if len({workload.target.kind for workload in found}) > 1:
        raise ConfigError(
            f"{id_} is the id of a deployment and of an execution",
            hint=f"write deployment/{id_} or execution/{id_}",
        )
    return found


def kinds_and_id(name: str) -> tuple[tuple[Kind, ...], str]:
    """Parse `name`; a bare id may be of any kind.

    Raises:
        ConfigError: Not a name.
    """
    kind, slash, id_ = name.rpartition("/")
    if not slash:
        return tuple(Kind), _checked_id(name, name)
    kinds = {str(one): one for one in Kind} | {f"{one}s": one for one in Kind}
    if kind not in kinds:
        raise ConfigError(
            f"{name!r} is not a target", hint="write deployment/ID, execution/ID or a bare ID"
        )
    return (kinds[kind],), _checked_id(id_, name)


def _checked_id(id_: str, name: str) -> str:
    if not id_ or not all(char.isascii() and (char.isalnum() or char in "._-") for char in id_):
        raise ConfigError(
            f"{name!r} is not a target: an ID has letters, digits, '.', '_' and '-' only",
            hint="write deployment/ID, execution/ID or a bare ID",
        )
    return id_


_LOOKUP_INTERVAL_S = 2.0  # a new job is found soon, at a low request rate


async def wait_for_target(
    source: TargetSource,
    name: str,
    *,
    resource_groups: Sequence[str],
    deadline_s: float,
    clock: Clock,
    on_retry: OnRetry,
) -> list[Workload]:
    """Resolve `name` as soon as it exists. `deadline_s` is monotonic.

    Raises:
        ConfigError: As `find_target`.
        NotFoundError: It does not exist at the deadline.
    """
    while True:
        try:
            return await find_target(
                source, name, resource_groups=resource_groups, on_retry=on_retry
            )
        except NotFoundError:
            left_s = deadline_s - clock.monotonic_s()
            if left_s <= 0:
                raise
        await clock.sleep(min(left_s, _LOOKUP_INTERVAL_S))
