"""A name or bare id -> target; wait until it exists.

Which targets are meant.

Waiting for a target that somebody is about to create.
"""

from collections.abc import Sequence
from typing import Protocol

from tailer.backoff import OnRetry
from tailer.clock import Clock
from tailer.errors import ConfigError, NotFoundError, PermanentApiError
from tailer.model import Kind, Target, Workload


class TargetSource(Protocol):
    """The service, as far as it knows what there is. Requests are retried inside."""

    async def get(self, target: Target, *, on_retry: OnRetry) -> Workload: ...


async def find_target(
    source: TargetSource, name: str, *, resource_groups: Sequence[str], on_retry: OnRetry
) -> list[Workload]:
    """What `name` (`deployment/ID`, `execution/ID` or a bare ID) means in these groups.

    A refusal counts only when nothing else is heard: it is one group's, and ids are unique.

    Raises:
        ConfigError: Not a name, or one that could mean two things.
        NotFoundError: In none of the groups.
    """
    kinds, id_ = kinds_and_id(name)
    found: list[Workload] = []
    refusals: list[PermanentApiError] = []
    is_denied = False
    for group in resource_groups:
        for kind in kinds:
            try:
                found.append(await source.get(Target(group, kind, id_), on_retry=on_retry))
            except NotFoundError:
                is_denied = True
            except PermanentApiError as error:
                refusals.append(error)
    if not found:
        if refusals and not is_denied:
            raise refusals[0]
        groups = ", ".join(resource_groups)
        what = " or ".join(kinds)
        unseen = "".join(f"; {error.message}" for error in refusals[:1])
        raise NotFoundError(
            f"there is no {what} {id_} in resource group {groups}{unseen}",
            hint="`tailer list` shows what there is; -g picks another resource group",
        )
    if len({workload.target.kind for workload in found}) > 1:
        raise ConfigError(
            f"{id_} is a deployment and an execution",
            hint=f"write deployment/{id_} or execution/{id_}",
        )
    return found


def kinds_and_id(name: str) -> tuple[tuple[Kind, ...], str]:
    """What `name` may be, before anybody is asked.

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


_LOOK_S = 2.0  # a job that was just created should not be missed for long, nor asked for in a rush


async def wait_for_target(
    source: TargetSource,
    name: str,
    *,
    resource_groups: Sequence[str],
    deadline_s: float,
    clock: Clock,
    on_retry: OnRetry,
) -> list[Workload]:
    """What `name` means, as soon as it is there. `deadline_s` is monotonic.

    Raises:
        ConfigError: It could mean two things.
        NotFoundError: It is still not there at the deadline.
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
        await clock.sleep(min(left_s, _LOOK_S))
