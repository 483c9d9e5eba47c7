"""Credentials, default group, client for a command.

Who we are to the service, and what we mean there when nothing is said.

The service, for a command: a client, and a word when it does not answer.
"""

import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tailer.aicore.client import AiCoreClient
from tailer.aicore.connect import connect
from tailer.aicore.credentials import Credentials, find_credentials
from tailer.clock import SystemClock


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
    return tuple(dict.fromkeys(given)) or (credentials.default_group_name,)


@asynccontextmanager
async def client_for(credentials: Credentials) -> AsyncIterator[AiCoreClient]:
    async with connect(
        credentials, clock=SystemClock(), rng=random.Random(), environ=os.environ
    ) as client:
        yield client


@asynccontextmanager
async def service_for(
    service_key_file: Path | None, groups: Sequence[str]
) -> AsyncIterator[tuple[AiCoreClient, tuple[str, ...]]]:
    """A client and the resource groups that are meant.

    Raises:
        AuthError: The credentials are missing, incomplete or refused.
    """
    credentials = credentials_for(service_key_file)
    async with client_for(credentials) as client:
        yield client, groups_for(groups, credentials)
