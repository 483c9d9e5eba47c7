"""Complete credentials from one source, in the SDK's order; normalized URLs.

Law: all values come from the first source that has any (`sap-ai-sdk-core` 3.5,
`ai_core_sdk/credentials.py`, `fetch_credentials`), and only then are they checked. Values of
another source must not fill gaps: that would combine one tenant's id with another's secret.
Only the resource group is looked up separately.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tailer.aicore.credential_sources import CredentialSource, environment_sources, key_file_source
from tailer.aicore.secret import Secret
from tailer.errors import AuthError

_TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path, not a password
_API_PATH: Final = "/v2"
_DEFAULT_GROUP: Final = "default"  # every tenant has it
_PROOFS: Final = (("client_secret",), ("cert_str", "key_str"), ("cert_file_path", "key_file_path"))


@dataclass(frozen=True, slots=True)
class CertificateText:
    """X.509 as PEM text."""

    certificate: str
    key: Secret


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """X.509 as PEM files. Read again for every token, because they are rotated in place."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """Complete credentials of one source; `source` describes it for messages.

    `api_url` ends in `/v2`, `token_url` in `/oauth/token`. `resource_group` is None if no
    source names one.
    """

    client_id: str
    proof: Secret | CertificateText | CertificateFiles
    token_url: str
    api_url: str
    resource_group: str | None
    source: str

    @property
    def default_group_name(self) -> str:
        """The resource group to use where none is given."""
        return self.resource_group or _DEFAULT_GROUP


def find_credentials(
    environ: Mapping[str, str],
    *,
    home: Path,
    service_key_file: Path | None = None,
) -> Credentials:
    """The credentials of `service_key_file`, else of the environment or `home`/.aicore.

    Reads files, and of the process environment only `environ`.

    Raises:
        AuthError: None found, incomplete, ambiguous or unreadable. The message names
            variables and files, never their content.
    """
    sources = environment_sources(environ, home=home)
    if service_key_file is not None:
        sources = (key_file_source(service_key_file), *sources)
    for source in sources:
        if source.values:
            groups = (each.resource_group for each in sources if each.resource_group)
            return _checked(source, resource_group=next(groups, None))
    states = "; ".join(f"{source.name}: {source.state}" for source in sources)
    raise AuthError(
        f"no credentials found. Looked at {states}",
        hint="set AICORE_SERVICE_KEY to the JSON of a service key of the AI Core instance",
    )


def _checked(source: CredentialSource, *, resource_group: str | None) -> Credentials:
    values = source.values
    proofs = _PROOFS[:2] if source.is_service_key else _PROOFS  # a key names no files
    complete = [names for names in proofs if all(name in values for name in names)]
    missing = [source.label(name) for name in ("client_id", "base_url") if name not in values]
    if "auth_url" not in values and "cert_url" not in values:
        missing.append(source.label("auth_url"))
    if not complete:
        missing.append("one of: " + ", or ".join(_labels(source, names) for names in proofs))
    if missing:
        present = ", ".join(source.label(name) for name in values)
        raise AuthError(
            f"the credentials in {source.name} are incomplete: missing {', '.join(missing)}; "
            f"present {present}",
            hint="all values must come from one source, the first with any value",
        )
    if len(complete) > 1:
        found = "; ".join(_labels(source, names) for names in complete)
        raise AuthError(
            f"the credentials in {source.name} prove the client in more than one way: {found}",
            hint="keep one of them",
        )
    url = "cert_url" if "cert_url" in values else "auth_url"
    return Credentials(
        client_id=values["client_id"],
        proof=_proof(values, complete[0]),
        token_url=token_url(values[url], name=f"{source.label(url)} in {source.name}"),
        api_url=api_url(values["base_url"], name=f"{source.label('base_url')} in {source.name}"),
        resource_group=resource_group,
        source=source.name,
    )


def _labels(source: CredentialSource, names: tuple[str, ...]) -> str:
    return " and ".join(source.label(name) for name in names)


def _proof(
    values: Mapping[str, str], names: tuple[str, ...]
) -> Secret | CertificateText | CertificateFiles:
    if names == ("client_secret",):
        return Secret(values["client_secret"])
    first, second = (values[name] for name in names)
    if names == ("cert_file_path", "key_file_path"):
        return CertificateFiles(Path(first), Path(second))
    return CertificateText(first.replace("\\n", "\n"), Secret(second.replace("\\n", "\n")))


def token_url(text: str, *, name: str) -> str:
    """Normalize to exactly one `/oauth/token` at the end. `name` is the origin, for errors.

    `aicore configure` writes `…//oauth/token` if the host ended in a slash. Raises: AuthError.
    """
    return _with_path(text, _TOKEN_PATH, name=name)


def api_url(text: str, *, name: str) -> str:
    """Normalize to exactly one `/v2` at the end, also from the `/v2/lm` of the SDK's client.

    Service keys have the bare host, the SDK's config files the full path. Raises: AuthError.
    """
    return _with_path(text.strip().rstrip("/").removesuffix("/lm"), _API_PATH, name=name)


def _with_path(text: str, path: str, *, name: str) -> str:
    parts = _checked_url(text.strip(), name=name)
    base = parts.path.rstrip("/")
    while base.endswith(path):
        base = base.removesuffix(path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{base}{path}"


def _checked_url(text: str, *, name: str) -> SplitResult:
    """An https address, or http for loopback. Errors never quote `text`: it may be a secret."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port  # `port` raises if it is no number
    except ValueError:
        parts, host = urlsplit(""), ""
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


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
