"""Access token: fetched once, refreshed early, replaced when the service refuses it.

Laws: one fetch at a time; a refused token causes one fetch, however many requests it failed;
a token is kept in memory only. There is no refresh token: each fetch sends the credentials.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import structlog
from yarl import URL

from tailer.aicore.credentials import Credentials
from tailer.aicore.decode import damaged
from tailer.aicore.error_responses import error_from_response
from tailer.aicore.secret import Secret
from tailer.aicore.tls import token_context
from tailer.aicore.transport import CertificateRefusedError, HttpResponse, HttpTransport
from tailer.clock import Clock
from tailer.errors import AuthError, TransientApiError

log = structlog.get_logger()

REFRESH_SHARE = 0.8  # of `expires_in`; tokens live 2 to 12 hours, but a 10 s one works as well
UNSTATED_LIFE_S = 600.0  # RFC 6749 only recommends `expires_in`; a 401 corrects a wrong value
_REFUSED_STATUSES = {400, 401, 403}  # RFC 6749, section 5.2, and gateways' variant of it
_REFRESH_RETRY_S = 30.0  # the present token is still valid, so the endpoint gets time


@dataclass(frozen=True, slots=True)
class Token:
    secret: Secret
    life_s: float


class TokenCache:
    """Holds the current token. `fetch` gets a new one; the clock is monotonic."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetch_lock = anyio.Lock()
        self._current: Secret | None = None
        self._refresh_s = 0.0
        self._expiry_s = 0.0
        self._last_failure: TransientApiError | None = None
        self.granted = self.failed = 0  # numbers of token requests

    @property
    def life_left_s(self) -> float:
        """Remaining validity of the current token; 0 without one."""
        return max(0.0, self._expiry_s - self._clock.monotonic_s())

    async def current(self) -> Secret:
        """A token that has not expired, fetched if necessary.

        Raises:
            AuthError: The token endpoint refuses the credentials.
            TransientApiError: The endpoint failed, and no valid token is left.
        """
        now_s = self._clock.monotonic_s()
        is_fresh = now_s < self._refresh_s or self._fetch_lock.locked()
        if self._current is not None and now_s < self._expiry_s and is_fresh:
            return self._current
        return await self._replace(self._current)

    async def replace_refused(self, token: Secret) -> Secret:
        """Replace `token`, which the service refused, unless that is done. Raises as `current`."""
        if token is self._current:
            self._expiry_s = self._refresh_s = 0.0
        return await self._replace(token)

    async def _replace(self, token: Secret | None) -> Secret:
        failure_before = self._last_failure
        async with self._fetch_lock:
            if self._current is not None and self._current is not token:
                return self._current  # replaced in the meantime
            failure = self._last_failure
            if failure is not None and failure is not failure_before:  # of all waiting requests
                raise copy(failure) from failure  # a shared one would collect their tracebacks
            sent_s = self._clock.monotonic_s()
            try:
                fetched = await self._fetch()
            except AuthError:
                self.failed += 1
                raise
            except TransientApiError as error:
                self.failed += 1
                if self._current is None or not self.life_left_s:
                    self._last_failure = error
                    raise
                self._refresh_s = self._clock.monotonic_s() + _REFRESH_RETRY_S
                log.debug("token_refresh_postponed", error=str(error), retry_in_s=_REFRESH_RETRY_S)
                return self._current
            self.granted += 1
            self._current = fetched.secret
            self._expiry_s = sent_s + fetched.life_s
            self._refresh_s = sent_s + fetched.life_s * REFRESH_SHARE
            return fetched.secret


@dataclass(slots=True, repr=False)
class TokenEndpoint:
    """Requests a token: a POST form with the client secret or over a client certificate."""

    credentials: Credentials
    transport: HttpTransport
    clock: Clock
    proxy: str | None
    ca_file: Path | None
    _was_granted: bool = field(default=False, init=False)

    async def fetch(self) -> Token:
        """A new token.

        Raises:
            AuthError: The credentials are refused, or the certificate cannot be read.
            TransientApiError: No response, or a damaged one.
        """
        credentials = self.credentials
        form = {"grant_type": "client_credentials", "client_id": credentials.client_id}
        tls = None
        if isinstance(credentials.proof, Secret):
            form["client_secret"] = credentials.proof.reveal()
        else:
            tls = token_context(credentials.proof, ca_file=self.ca_file)
        try:
            response = await self.transport.send(
                "POST",
                URL(credentials.token_url, encoded=True),
                headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
                form=form,
                proxy=self.proxy,
                tls=tls,
            )
        except CertificateRefusedError as error:
            raise self._auth_error(error.message) from error
        except TransientApiError as error:
            if tls is not None and not error.hint:  # TLS 1.3 may close without an alert
                error.hint = "the client certificate may be the cause: is it still valid?"
            raise
        if response.status == HTTPStatus.OK:
            token = _token(response.body)
            self._was_granted = True
            return token
        raise self._error(response)

    def _error(self, response: HttpResponse) -> AuthError | TransientApiError:
        credentials = self.credentials
        body = response.body
        if isinstance(credentials.proof, Secret) and (
            credentials.proof.is_in(body) or b"client_secret=" in body
        ):
            body = b""  # some servers quote the form they refuse
        error = error_from_response(
            response.status,
            response.headers,
            body,
            subject=credentials.token_url,
            wall_ns=self.clock.wall_ns(),
        )
        if response.status in _REFUSED_STATUSES:
            return self._auth_error(error.message)
        if isinstance(error, TransientApiError):
            return error
        if self._was_granted:  # a router may answer 404 while the endpoint is down
            return TransientApiError(error.message, status=error.status)
        return self._auth_error(error.message)

    def _auth_error(self, reason: str) -> AuthError:
        source = self.credentials.source
        return AuthError(
            f"no token for the client id from {source}: {reason}",
            hint="do the id, its secret or certificate and the address belong to the same key, "
            "and is that key still valid?",
        )


def _token(body: bytes) -> Token:
    """From `{"access_token": …, "expires_in": …}`. Errors never quote it: it may hold a token."""
    try:
        whole: Any = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    secret = whole.get("access_token") if isinstance(whole, dict) else None
    if not isinstance(secret, str) or not re.fullmatch(r"[ -~]+", secret):
        is_html = body.lstrip().startswith(b"<")
        raise damaged(body if is_html else b"", "it has no access_token")
    return Token(Secret(secret), _life_s(whole.get("expires_in")))


def _life_s(expires_in: Any) -> float:
    try:
        life_s = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return UNSTATED_LIFE_S
    return life_s if math.isfinite(life_s) else UNSTATED_LIFE_S
