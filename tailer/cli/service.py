"""The service, for a command: a client, and a word when it does not answer."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tailer.aicore.client import AiCoreClient
from tailer.aicore.connection import connect
from tailer.aicore.credentials import Credentials
from tailer.clock import SystemClock
from tailer.errors import TransientApiError
from tailer.health import OUTAGE_S

log = structlog.get_logger()


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
