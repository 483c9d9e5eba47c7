"""The way out of a company's network, as the usual variables say. Pure.

Not aiohttp's `trust_env`: that asks two worker threads for every request, and a `~/.netrc`
that names the host makes it refuse our own Authorization header.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit


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
