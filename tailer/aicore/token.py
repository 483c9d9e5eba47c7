"""A token that is always good: fetched once, refreshed early, replaced when refused.

Laws: one fetch at a time, whoever asks; a refused token causes one fetch, however many
were refused with it; a token lives in memory only. There is no refresh token: each fetch
shows the credentials again.
"""

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
UNSTATED_LIFE_S = 600.0  # RFC 6749 only recommends `expires_in`; a 401 corrects us if wrong
_CREDENTIALS_REFUSED = {400, 401, 403}  # RFC 6749, section 5.2, and gateways' variant of it
_POSTPONED_S = 30.0  # the old token still works: no need to press an endpoint in trouble


@dataclass(frozen=True, slots=True)
class Token:
    secret: Secret
    life_s: float


class TokenCache:
    """Hands out the current token. `fetch` gets a new one; the clock is monotonic."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._one_at_a_time = anyio.Lock()
        self._current: Secret | None = None
        self._refresh_s = 0.0
        self._expiry_s = 0.0
        self._failures = 0
        self._last_failure: TransientApiError | None = None
        self.granted = self.failed = 0  # so many requests for tokens

    @property
    def life_left_s(self) -> float:
        """For how long the current token is good; 0 without one."""
        return max(0.0, self._expiry_s - self._clock.monotonic_s())

    async def current(self) -> Secret:
        """A token that has not expired, fetched if need be.

        Raises:
            AuthError: The token endpoint refuses the credentials.
            TransientApiError: It did not answer, and there is no older token to go on with.
        """
        now_s = self._clock.monotonic_s()
        if self._current is not None and now_s < self._expiry_s:
            someone_is_at_it = self._one_at_a_time.locked()
            if now_s < self._refresh_s or someone_is_at_it:
                return self._current
        return await self._replace(self._current)

    async def refused(self, token: Secret) -> Secret:
        """The service did not take `token`: another one, new unless that was replaced already.

        Raises:
            AuthError, TransientApiError: As `current`.
        """
        if token is self._current:
            self._expiry_s = self._refresh_s = 0.0
        return await self._replace(token)

    async def _replace(self, token: Secret | None) -> Secret:
        failures_before = self._failures
        async with self._one_at_a_time:
            if self._current is not None and self._current is not token:
                return self._current  # replaced while we waited
            if self._last_failure is not None and self._failures != failures_before:
                raise _copy(self._last_failure) from self._last_failure  # failed for all of us
            sent_s = self._clock.monotonic_s()
            try:
                fetched = await self._fetch()
            except (TransientApiError, AuthError) as error:
                self.failed += 1
                if isinstance(error, AuthError):
                    raise
                return self._old_one_or_raise(error)
            self.granted += 1
            self._current = fetched.secret
            self._expiry_s = sent_s + fetched.life_s
            self._refresh_s = sent_s + fetched.life_s * REFRESH_SHARE
            return fetched.secret

    def _old_one_or_raise(self, error: TransientApiError) -> Secret:
        now_s = self._clock.monotonic_s()
        if self._current is not None and now_s < self._expiry_s:
            self._refresh_s = now_s + _POSTPONED_S
            log.debug("token_refresh_postponed", error=str(error), retry_in_s=_POSTPONED_S)
            return self._current
        self._failures += 1
        self._last_failure = error
        raise error


def _copy(error: TransientApiError) -> TransientApiError:
    """One exception object raised in many tasks would collect all their tracebacks."""
    copy = type(error)(error.message, hint=error.hint, status=error.status)
    copy.retry_after_s = error.retry_after_s
    return copy


class TokenEndpoint:
    """Trades credentials for a token: a POST form with the secret, or with a certificate."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        transport: HttpTransport,
        clock: Clock,
        proxy: str | None,
        ca_file: Path | None,
    ) -> None:
        self._credentials = credentials
        self._transport = transport
        self._clock = clock
        self._proxy = proxy
        self._ca_file = ca_file
        self._has_granted = False

    async def fetch(self) -> Token:
        """A new token.

        Raises:
            AuthError: The credentials are refused, or the certificate cannot be read.
            TransientApiError: No answer, or a damaged one.
        """
        credentials = self._credentials
        form = {"grant_type": "client_credentials", "client_id": credentials.client_id}
        tls = None
        if isinstance(credentials.proof, Secret):
            form["client_secret"] = credentials.proof.reveal()
        else:
            tls = token_context(credentials.proof, ca_file=self._ca_file)
        try:
            answer = await self._transport.send(
                "POST",
                URL(credentials.token_url, encoded=True),
                headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
                form=form,
                proxy=self._proxy,
                tls=tls,
            )
        except CertificateRefusedError as error:
            raise self._refused(error.message) from error
        except TransientApiError as error:
            if tls is not None and not error.hint:  # TLS 1.3 may just close, without a word
                error.hint = "perhaps because of the client certificate: is it still valid?"
            raise
        if answer.status == HTTPStatus.OK:
            token = _token(answer.body)
            self._has_granted = True
            return token
        raise self._refusal(answer)

    def _refusal(self, answer: HttpResponse) -> AuthError | TransientApiError:
        credentials = self._credentials
        body = answer.body
        if isinstance(credentials.proof, Secret) and (
            credentials.proof.is_in(body) or b"client_secret=" in body
        ):
            body = b""  # some servers quote the form they refuse
        error = error_from_response(
            answer.status,
            answer.headers,
            body,
            subject=credentials.token_url,
            wall_ns=self._clock.wall_ns(),
        )
        if answer.status in _CREDENTIALS_REFUSED:
            return self._refused(error.message)
        if isinstance(error, TransientApiError):
            return error
        if self._has_granted:  # a router says 404 while what is behind it is down
            return TransientApiError(error.message, status=error.status)
        return self._refused(error.message)

    def _refused(self, reason: str) -> AuthError:
        source = self._credentials.source
        return AuthError(
            f"no token for the client id from {source}: {reason}",
            hint="are the id, its secret or certificate and the address of one and the same key, "
            "and has that key not expired?",
        )


def _token(body: bytes) -> Token:
    """From `{"access_token": …, "expires_in": …}`. Never shows the body: it may hold a token."""
    try:
        whole: Any = json.loads(body)
    except (ValueError, RecursionError):
        whole = None
    text = whole.get("access_token") if isinstance(whole, dict) else None
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        looks_like_a_page = body.lstrip().startswith(b"<")
        raise damaged(body if looks_like_a_page else b"", "it has no access_token")
    return Token(Secret(text), _life_s(whole.get("expires_in")))


def _life_s(expires_in: Any) -> float:
    try:
        life_s = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return UNSTATED_LIFE_S
    return life_s if math.isfinite(life_s) else UNSTATED_LIFE_S
