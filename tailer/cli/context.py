"""Credentials, resource groups and client of a command."""

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
    """Credentials from the file, else from the environment and the SDK's files.

    Raises:
        AuthError: The credentials are missing or incomplete.
    """
    return find_credentials(os.environ, home=_home(), service_key_file=service_key_file)


def _home() -> Path:
    """The home directory, or a missing path: containers run as users without a home."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def groups_for(given: Sequence[str], credentials: Credentials) -> tuple[str, ...]:
    """The given resource groups without repeats, else the default group."""
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
    """A client, and the given or default resource groups.

    Raises:
        AuthError: The credentials are missing or incomplete.
    """
    credentials = credentials_for(service_key_file)
    async with client_for(credentials) as client:
        yield client, groups_for(groups, credentials)
