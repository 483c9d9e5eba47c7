"""Build the client, own the aiohttp session; proxies.

The way out of a company's network, as the usual variables say. Pure.

Not aiohttp's `trust_env`: that asks two worker threads for every request, and a `~/.netrc`
that names the host makes it refuse our own Authorization header.

Puts the parts of the client together and owns the one HTTP session.
"""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp

from tailer import __version__
from tailer.aicore.api import ApiAccess, ApiRequests
from tailer.aicore.client import AiCoreClient
from tailer.aicore.credentials import Credentials
from tailer.aicore.rate_limit import RateLimiter
from tailer.aicore.tls import api_context
from tailer.aicore.token import TokenCache, TokenEndpoint
from tailer.aicore.transport import HttpTransport
from tailer.clock import Clock


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy to use for `url`, or None: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.

    Lower-case names go first, as with curl, which knows HTTP_PROXY in lower case only:
    under CGI the other one is a header of the request (httpoxy).
    """
    parts = urlsplit(url)
    names = ["https_proxy", "HTTPS_PROXY"] if parts.scheme == "https" else ["http_proxy"]
    names += ["all_proxy", "ALL_PROXY"]
    proxy = next((environ[name] for name in names if environ.get(name)), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if proxy is None or _is_exempt(parts.hostname or "", parts.port, exempt):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int | None, exempt: str) -> bool:
    """A name in NO_PROXY stands for itself and all below it; `*` stands for every host."""
    for entry in exempt.lower().split(","):
        name = entry.strip().lstrip(".")
        if name == "*":
            return True
        if name and any(
            one == name or one.endswith(f".{name}") for one in (host, f"{host}:{port}")
        ):
            return True
    return False


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
        ssl=api_context(settings.ca_file),
        keepalive_timeout=_KEEP_ALIVE_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"tailer/{__version__}"},
    ) as session:
        transport = HttpTransport(
            session,
            clock=clock,
            timeout=aiohttp.ClientTimeout(
                total=settings.total_timeout_s,
                sock_connect=settings.connect_timeout_s,
                sock_read=settings.read_timeout_s,
            ),
            max_body_bytes=settings.max_body_bytes,
        )

        def access_of(one: Credentials) -> ApiAccess:
            endpoint = TokenEndpoint(
                one,
                transport=transport,
                clock=clock,
                proxy=proxy_for(one.token_url, environ),
                ca_file=settings.ca_file,
            )
            tokens = TokenCache(endpoint.fetch, clock=clock)
            return ApiAccess(tokens, one.api_url, proxy_for(one.api_url, environ))

        gate = ApiRequests(
            transport=transport,
            access=access_of(credentials),
            budget=RateLimiter(settings.requests_per_s),
            clock=clock,
        )
        yield AiCoreClient(
            gate,
            access_of=access_of,
            clock=clock,
            rng=rng,
            first_contact_patience_s=settings.first_contact_patience_s,
        )
