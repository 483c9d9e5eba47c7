"""From what the user gave to a connected client, and from names to targets."""

import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from tailer.aicore.client import AiCoreClient
from tailer.aicore.connection import connect
from tailer.aicore.credentials import Credentials, find_credentials
from tailer.clock import SystemClock
from tailer.errors import ConfigError, NotFoundError, TransientApiError
from tailer.health import OUTAGE_S
from tailer.model import Kind, Target, Workload

log = structlog.get_logger()

DEFAULT_RESOURCE_GROUP = "default"


def credentials_for(service_key_file: Path | None) -> Credentials:
    """Raises: AuthError."""
    return find_credentials(os.environ, home=_home(), service_key_file=service_key_file)


def _home() -> Path:
    """Containers run under numbers that have no home; there is nothing to be found there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def groups_for(given: Sequence[str], credentials: Credentials) -> tuple[str, ...]:
    """The resource groups meant, each once, in the order given."""
    return tuple(dict.fromkeys(given)) or (credentials.resource_group or DEFAULT_RESOURCE_GROUP,)


@asynccontextmanager
async def client_for(credentials: Credentials) -> AsyncIterator[AiCoreClient]:
    async with connect(
        credentials, clock=SystemClock(), rng=random.Random(), environ=os.environ
    ) as client:
        yield client


class Hiccups:
    """Tells the user once when requests of a command go on failing."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        self._is_told = False

    def __call__(self, error: TransientApiError, retry_in_s: float) -> None:
        self._waited_s += retry_in_s
        if self._waited_s >= OUTAGE_S and not self._is_told:
            self._is_told = True
            log.warning("slow_service", why=error.message)


async def find_target(
    client: AiCoreClient, name: str, *, resource_groups: Sequence[str]
) -> list[Workload]:
    """What `name` (`deployment/ID`, `execution/ID` or a bare ID) means in these groups.

    Raises:
        ConfigError: Not a name, or one that could mean two things.
        NotFoundError: In none of the groups.
    """
    kinds, id_ = kinds_and_id(name)
    found: list[Workload] = []
    for group in resource_groups:
        for kind in kinds:
            try:
                found.append(await client.get(Target(group, kind, id_), on_trouble=Hiccups()))
            except NotFoundError:
                continue
    if not found:
        groups = ", ".join(resource_groups)
        what = " or ".join(kinds)
        raise NotFoundError(
            f"there is no {what} {id_} in resource group {groups}",
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
