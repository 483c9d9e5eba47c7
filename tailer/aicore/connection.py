"""Puts the parts of the client together and owns the one HTTP session."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import aiohttp

from tailer import __version__
from tailer.aicore.auth import TokenEndpoint, TokenKeeper
from tailer.aicore.client import AiCoreClient
from tailer.aicore.credentials import Credentials
from tailer.aicore.gate import Access, Gate
from tailer.aicore.proxy import proxy_for
from tailer.aicore.tls import trusting_context
from tailer.aicore.transport import Transport
from tailer.clock import Clock
from tailer.pacing import RequestBudget

_KEEP_ALIVE_S = 30.0  # longer than an idle pause: a new TLS connection costs seven times a poll


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Limits of the client. `requests_per_s` is for all targets together."""

    requests_per_s: float = 20.0
    total_timeout_s: float = 60.0  # ends a request that drips, which `read_timeout_s` never does
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0  # of silence
    max_body_bytes: int = 64 << 20  # unpacked; 5000 lines of 13 KB
    max_connections: int = 32
    first_contact_patience_s: float = 5.0  # a typing error in an address should show soon
    ca_file: Path | None = None  # trusted on top of the machine's authorities


@asynccontextmanager
async def connect(
    credentials: Credentials,
    *,
    clock: Clock,
    rng: random.Random,
    settings: ClientSettings | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[AiCoreClient]:
    """A client for as long as the block lasts. Sends nothing before it is asked something.

    `environ` is looked at for HTTPS_PROXY and its like; `rng` spreads the retries.

    *Resources:* the session and its connections are closed at the end of the block.

    Raises:
        ConfigError: The CA file cannot be used.
    """
    settings = settings or ClientSettings()
    connector = aiohttp.TCPConnector(
        limit=settings.max_connections,
        ssl=trusting_context(settings.ca_file),
        keepalive_timeout=_KEEP_ALIVE_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"tailer/{__version__}"},
    ) as session:
        transport = Transport(
            session,
            clock=clock,
            timeout=aiohttp.ClientTimeout(
                total=settings.total_timeout_s,
                sock_connect=settings.connect_timeout_s,
                sock_read=settings.read_timeout_s,
            ),
            max_body_bytes=settings.max_body_bytes,
        )

        def access_of(one: Credentials) -> Access:
            endpoint = TokenEndpoint(
                one,
                transport=transport,
                clock=clock,
                proxy=proxy_for(one.token_url, environ),
                ca_file=settings.ca_file,
            )
            tokens = TokenKeeper(endpoint.fetch, clock=clock)
            return Access(tokens, one.api_url, proxy_for(one.api_url, environ))

        gate = Gate(
            transport=transport,
            access=access_of(credentials),
            budget=RequestBudget(settings.requests_per_s),
            clock=clock,
        )
        yield AiCoreClient(
            gate,
            access_of=access_of,
            clock=clock,
            rng=rng,
            first_contact_patience_s=settings.first_contact_patience_s,
        )
