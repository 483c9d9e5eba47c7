"""Build the API client and own its HTTP session; choose proxies."""

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

_KEEP_ALIVE_S = 30.0  # longer than an idle pause: a new TLS connection costs seven times a poll


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Limits of the client. `requests_per_s` is for all targets together."""

    requests_per_s: float = 20.0
    total_timeout_s: float = 60.0  # ends a slow response, which `read_timeout_s` never does
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0  # without any byte
    max_body_bytes: int = 64 << 20  # unpacked; 5000 lines of 13 KB
    max_connections: int = 32
    first_contact_timeout_s: float = 5.0  # a mistyped address should be reported soon
    ca_file: Path | None = None  # trusted in addition to the machine's authorities


@asynccontextmanager
async def connect(
    credentials: Credentials,
    *,
    clock: Clock,
    rng: random.Random,
    settings: ClientSettings | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[AiCoreClient]:
    """A client that lives as long as the block. Sends nothing before its first method call.

    `environ` has the proxy variables, see `proxy_for`; `rng` spreads the retries.

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

        def access_of(credentials: Credentials) -> ApiAccess:
            endpoint = TokenEndpoint(
                credentials,
                transport=transport,
                clock=clock,
                proxy=proxy_for(credentials.token_url, environ),
                ca_file=settings.ca_file,
            )
            proxy = proxy_for(credentials.api_url, environ)
            return ApiAccess(TokenCache(endpoint.fetch, clock=clock), credentials.api_url, proxy)

        requests = ApiRequests(
            transport=transport,
            access=access_of(credentials),
            rate_limiter=RateLimiter(settings.requests_per_s),
            clock=clock,
        )
        yield AiCoreClient(
            requests,
            access_of=access_of,
            clock=clock,
            rng=rng,
            first_contact_timeout_s=settings.first_contact_timeout_s,
        )


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for `url`, or None: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY. Pure.

    Lower-case names take precedence, as with curl, which reads HTTP_PROXY in lower case only:
    under CGI the upper-case name is a header of the request (httpoxy).

    Replaces aiohttp's `trust_env`, which uses two worker threads for each request and, if
    `~/.netrc` names the host, refuses our own Authorization header.
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
    """A name in NO_PROXY stands for itself and its subdomains; `*` stands for every host."""
    for entry in exempt.lower().split(","):
        name = entry.strip().lstrip(".")
        if name == "*":
            return True
        candidates = (host, f"{host}:{port}")
        if name and any(each == name or each.endswith(f".{name}") for each in candidates):
            return True
    return False
