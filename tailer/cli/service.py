"""From what the user gave to a connected client."""

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
from tailer.errors import TransientApiError
from tailer.health import OUTAGE_S

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
