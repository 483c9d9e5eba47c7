"""Secrets do not belong in the configuration: where one is, and where it should be. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from tailer.config.statements import Place

_SECRET_NAMES: Final = frozenset(
    {
        *("clientsecret", "secret", "password", "passwd", "passphrase", "token", "accesstoken"),
        *("refreshtoken", "bearertoken", "apikey", "privatekey", "servicekey", "credentials"),
    }
)  # compared without case and punctuation: client_secret, clientSecret, client-secret
_SERVICE_KEY: Final = re.compile(r"[\"']client_?secret[\"']\s*:", re.IGNORECASE)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)-----")
_USERINFO: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*@", re.IGNORECASE)

A_KEY_ITSELF: Final = "this is a service key or a private key itself"
IN_ADDRESS: Final = "the address holds a user or password; write it without what is before @"
IN_FILE: Final = (
    "put the service key in a file of its own and name that in [aicore] service_key_file, "
    "or use the AICORE_* variables"
)


def line_of_service_key(text: str) -> int | None:
    """Where in a text, which need not be TOML, the secret of a service key stands."""
    match = _SERVICE_KEY.search(text)
    return None if match is None else text.count("\n", 0, match.start()) + 1


def find_secrets(value: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Where a secret is written, and what is wrong with it; never the secret itself."""
    if place and _is_secret_name(place[-1]) and value != "":
        yield place, f"a secret does not belong here; {IN_FILE}"
        return
    match value:
        case dict():
            for name, inner in value.items():
                yield from find_secrets(inner, (*place, name))
        case list():
            for number, inner in enumerate(value):
                yield from find_secrets(inner, (*place, number))
        case str() if _SERVICE_KEY.search(value) or _PEM.search(value):
            yield place, f"{A_KEY_ITSELF}; {IN_FILE}"
        case str() if _USERINFO.match(value):
            yield place, IN_ADDRESS


def _is_secret_name(step: str | int) -> bool:
    return re.sub(r"[^a-z0-9]", "", str(step).lower()) in _SECRET_NAMES
