"""Credentials, resource groups and client of a command."""

import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tailer.aicore.client import AiCoreClient
from tailer.aicore.connect import connect
from tailer.aicore.credentials import Credentials, find_credentials
from tailer.clock import SystemClock
from tailer.config import find_config_path
from tailer.config.load import VARIABLE
from tailer.errors import ConfigError


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


def config_path_if_any(given: Path | None) -> Path | None:
    """The configuration file; None if there is none and neither `given` nor a variable names one.

    Raises:
        ConfigError: The named file does not exist.
    """
    try:
        return find_config_path(given, os.environ, Path.is_file)
    except ConfigError:
        if given is not None or os.environ.get(VARIABLE):
            raise
        return None


def groups_for(given: Sequence[str], credentials: Credentials) -> tuple[str, ...]:
    """The given resource groups without repeats, else the default group."""
    return tuple(dict.fromkeys(given)) or (credentials.default_group_name,)


def groups_of(flags: Mapping[str, Any], credentials: Credentials) -> tuple[str, ...] | None:
    """The resource groups of -g, else the default group; None for -A."""
    if flags.get("all_resource_groups"):
        return None
    return groups_for(flags.get("resource_groups") or (), credentials)


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
