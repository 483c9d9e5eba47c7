"""One request and its answer, or the reason why there is none.

The only module that knows aiohttp's exceptions. Law: at most `max_body_bytes` of an
unpacked answer are ever in memory, and every request ends by `timeout.total`, however
slowly the other side drips.
"""

import os
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from yarl import URL

from tailer.clock import Clock
from tailer.errors import TransientApiError, UnreachableError

_CHUNK_BYTES = 1 << 16
_MAX_REFUSAL_BYTES = 1 << 16  # nobody reads more of an error page
_CERTIFICATE_ALERT = re.compile("ALERT.*(CERTIFICATE|UNKNOWN_CA)")  # RFC 8446, section 6.2


class UntrustedServerError(UnreachableError):
    """The server's certificate does not verify. Waiting does not change that, at first."""


class CertificateRefusedError(TransientApiError):
    """The server ended the handshake because of the certificate that we showed."""


class OversizeError(TransientApiError):
    """The answer is larger than we take. A smaller question may help."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`sent_s` and `received_s` (of the headers) are monotonic. A refusal's body may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_s: float
    received_s: float


class HttpTransport:
    """Sends; follows no redirect, keeps no cookie. Whoever opened the session closes it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Clock,
        timeout: aiohttp.ClientTimeout,
        max_body_bytes: int,
    ) -> None:
        self._session = session
        self._clock = clock
        self._timeout = timeout
        self._max_body_bytes = max_body_bytes

    async def send(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> HttpResponse:
        """The answer, whatever its status.

        Raises:
            UnreachableError: No connection: refused, no such name, no TLS, no time.
            TransientApiError: A connection, but no whole answer.
        """
        sent_s = self._clock.monotonic_s()
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=form,
                proxy=proxy,
                ssl=True if tls is None else tls,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                received_s = self._clock.monotonic_s()
                body = await self._body(response, host=url.host or "")
                return HttpResponse(response.status, response.headers, body, sent_s, received_s)
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            raise self._translated(error, host=url.host or "") from error

    async def _body(self, response: aiohttp.ClientResponse, *, host: str) -> bytes:
        """Unpacked while it comes, so that a bomb is noticed before it is unpacked whole."""
        is_refusal = response.status != HTTPStatus.OK
        max_bytes = _MAX_REFUSAL_BYTES if is_refusal else self._max_body_bytes
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                response.close()
                if is_refusal:
                    break
                raise OversizeError(
                    f"{host}: the answer is larger than {max_bytes} bytes", status=response.status
                )
        return bytes(body[:max_bytes])

    def _translated(
        self, error: aiohttp.ClientError | OSError | zlib.error, *, host: str
    ) -> TransientApiError:
        """In our words: aiohttp's carry addresses, and a proxy's may hold a password."""
        reason = _reason(error)
        if _CERTIFICATE_ALERT.search(reason):
            return CertificateRefusedError(f"{host}: refuses our certificate: {reason}")
        for outside, inside, words, hint in _TRANSLATIONS:
            if isinstance(error, outside):
                message = words.format(reason=reason, timeout=self._timeout)
                return inside(f"{host}: {message}", hint=hint)
        return TransientApiError(f"{host}: connection lost: {reason}")


_PROXY_HINT = "see HTTPS_PROXY and NO_PROXY"
_TRANSLATIONS: tuple[tuple[type[Exception], type[TransientApiError], str, str], ...] = (
    # The first that fits: these classes are ancestors of each other.
    (
        aiohttp.ClientConnectorCertificateError,
        UntrustedServerError,
        "its certificate cannot be trusted: {reason}",
        "behind an inspecting proxy, add its CA file",
    ),
    (aiohttp.ClientConnectorSSLError, UnreachableError, "no TLS connection: {reason}", ""),
    (aiohttp.ClientConnectorDNSError, UnreachableError, "the name cannot be resolved", ""),
    (
        aiohttp.ClientProxyConnectionError,
        UnreachableError,
        "the proxy cannot be reached: {reason}",
        _PROXY_HINT,
    ),
    (aiohttp.ClientConnectorError, UnreachableError, "no connection: {reason}", ""),
    (aiohttp.ClientHttpProxyError, UnreachableError, "the proxy refuses: {reason}", _PROXY_HINT),
    (
        aiohttp.ConnectionTimeoutError,
        UnreachableError,
        "no connection within {timeout.sock_connect:g} s",
        "",
    ),
    (aiohttp.SocketTimeoutError, TransientApiError, "silent for {timeout.sock_read:g} s", ""),
    (TimeoutError, TransientApiError, "no whole answer within {timeout.total:g} s", ""),
    (
        aiohttp.ServerDisconnectedError,
        TransientApiError,
        "it closed the connection without an answer",
        "",
    ),
    (
        aiohttp.ClientPayloadError,
        TransientApiError,
        "the answer is cut short or cannot be unpacked",
        "",
    ),
    (zlib.error, TransientApiError, "the answer cannot be unpacked", ""),
    (aiohttp.ClientResponseError, TransientApiError, "the answer is not HTTP", ""),
)


def _reason(error: BaseException) -> str:
    """What OpenSSL, the system or the proxy calls it."""
    if isinstance(error, aiohttp.ClientResponseError):
        return str(error.status)
    # aiohttp's own TLS errors are of OpenSSL's class but lack what is in it: they go last.
    for cause in (getattr(error, "os_error", None), error.__cause__, error):
        if isinstance(cause, ConnectionError) and cause.errno is not None:
            return os.strerror(cause.errno)  # asyncio words it as "Connect call failed (…)"
        for name in ("verify_message", "reason", "strerror"):
            if isinstance(cause, OSError) and (words := getattr(cause, name, None)):
                return str(words)
    return type(getattr(error, "os_error", error)).__name__
