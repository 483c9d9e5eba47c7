"""The two addresses of the service, however they were written. Pure.

Service keys carry the bare hosts, the SDK's config files the full paths, and
`aicore configure` writes `…//oauth/token` when the host ended in a slash.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from tailer.errors import AuthError

_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a password
_API_PATH = "/v2"


def token_url(text: str, *, name: str) -> str:
    """With exactly one `/oauth/token` at its end. `name` says in errors where `text` is from.

    Raises:
        AuthError: Not an https address (http is for loopback only).
    """
    return _with_path(text, _TOKEN_PATH, name=name)


def api_url(text: str, *, name: str) -> str:
    """With exactly one `/v2` at its end; the `/v2/lm` of the SDK's inner client is cut.

    Raises:
        AuthError: Not an https address (http is for loopback only).
    """
    return _with_path(text.strip().rstrip("/").removesuffix("/lm"), _API_PATH, name=name)


def _with_path(text: str, path: str, *, name: str) -> str:
    parts = _checked(text.strip(), name=name)
    base = parts.path.rstrip("/")
    while base.endswith(path):
        base = base.removesuffix(path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{base}{path}"


def _checked(text: str, *, name: str) -> SplitResult:
    """Its parts. Errors do not show `text`: people paste secrets into the wrong variable."""
    parts, host = _split(text)
    if parts.scheme not in {"http", "https"} or not host or not text.isprintable() or " " in text:
        raise AuthError(f"{name} is not an address", hint="it should start with https://")
    if parts.scheme == "http" and not _is_loopback(host):
        raise AuthError(
            f"{name} is http://, which would show the credentials to the network",
            hint="use https://; http:// is for loopback hosts only",
        )
    if parts.username is not None or parts.password is not None:
        raise AuthError(f"{name} holds a user or password", hint="leave only the address")
    if parts.query or parts.fragment:
        raise AuthError(f"{name} has a query or fragment", hint="leave only the address")
    return parts


def _split(text: str) -> tuple[SplitResult, str]:
    """The parts and the host, which is empty if there is none or the port is no number."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # the port is parsed when it is asked for
    except ValueError:
        return urlsplit(""), ""
    return parts, host or ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
