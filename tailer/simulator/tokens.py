"""Bearer tokens as JWTs, verified by signature: they stay valid across a restart."""

import base64
import hashlib
import hmac
import itertools
from collections.abc import Mapping

import msgspec

from tailer.simulator.settings import TokenSettings

_HEADER = msgspec.json.encode({"alg": "HS256", "typ": "JWT"})


class Tokens:
    def __init__(self, settings: TokenSettings, *, seed: int) -> None:
        self._settings = settings
        self._key = f"simulator {seed}".encode()
        self._numbers = itertools.count(1)
        self._revoked: set[str] = set()

    def accepts(self, client_id: str, secret: str, *, has_certificate: bool) -> bool:
        """Check the credentials. A client certificate replaces the secret, as at `certurl`."""
        valid_id, valid_secret = self._settings.client_id, self._settings.client_secret
        is_authenticated = has_certificate or (bool(secret) and secret == (valid_secret or secret))
        return bool(client_id) and client_id == (valid_id or client_id) and is_authenticated

    def issue(self, client_id: str, *, now_ns: int) -> Mapping[str, object]:
        """The body of a token response."""
        now_s = now_ns // 10**9
        jti = hashlib.sha256(self._key + f"{next(self._numbers)} {now_ns}".encode()).hexdigest()
        claims = {
            "jti": jti[:32],
            "client_id": client_id,
            "iat": now_s,
            "exp": now_s + self._settings.expires_in_s,
        }
        unsigned = f"{_base64url(_HEADER)}.{_base64url(msgspec.json.encode(claims))}"
        return {
            "access_token": f"{unsigned}.{self._signature(unsigned)}",
            "token_type": "bearer",
            "expires_in": self._settings.expires_in_s,
            "scope": "uaa.resource",
            "jti": jti[:32],
        }

    def refusal_reason(self, authorization: str, *, now_ns: int) -> str | None:
        """The gateway's text for an invalid Authorization header; None for a valid one."""
        scheme, _, token = authorization.partition(" ")
        unsigned, _, signature = token.strip().rpartition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            signature.encode(errors="surrogateescape"), self._signature(unsigned).encode()
        ):
            return "Jwt verification fails"
        claims = msgspec.json.decode(_unbase64url(unsigned.partition(".")[2]))
        lives_s = self._settings.lives_s
        end_s = claims["exp"] if lives_s is None else claims["iat"] + lives_s
        if token.strip() in self._revoked or end_s <= now_ns / 1e9:
            return "Jwt is expired"
        return None

    def revoke(self, authorization: str) -> None:
        self._revoked.add(authorization.partition(" ")[2].strip())

    def _signature(self, unsigned: str) -> str:
        return _base64url(hmac.digest(self._key, unsigned.encode(), "sha256"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
