"""Send one HTTP request; translate aiohttp's exceptions.

No other module knows aiohttp's exceptions. Law: at most `max_body_bytes` of an unpacked
response are in memory, and every request ends within `timeout.total`, however slowly the
server sends.
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
_MAX_ERROR_BYTES = 1 << 16  # the rest of an error page is not needed
_CERTIFICATE_ALERT = re.compile("ALERT.*(CERTIFICATE|UNKNOWN_CA)")  # RFC 8446, section 6.2


class UntrustedServerError(UnreachableError):
    """The server's certificate does not verify. Before the first contact no retry helps."""


class CertificateRefusedError(TransientApiError):
    """The server ended the TLS handshake because of the client certificate."""


class OversizeError(TransientApiError):
    """The response is larger than `max_body_bytes`. A smaller request may help."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`sent_s` and `received_s` (of the headers) are monotonic; an error's body may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_s: float
    received_s: float


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """Follows no redirect, keeps no cookie. Does not close the session."""

    session: aiohttp.ClientSession
    clock: Clock
    timeout: aiohttp.ClientTimeout
    max_body_bytes: int

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
        """The response, with any status.

        Raises:
            UnreachableError: No connection: refused, unknown name, no TLS, timeout.
            TransientApiError: A connection, but no complete response.
        """
        sent_s = self.clock.monotonic_s()
        try:
            async with self.session.request(
                method,
                url,
                headers=headers,
                data=form,
                proxy=proxy,
                ssl=True if tls is None else tls,
                timeout=self.timeout,
                allow_redirects=False,
            ) as response:
                received_s = self.clock.monotonic_s()
                body = await self._body(response, host=url.host or "")
                return HttpResponse(response.status, response.headers, body, sent_s, received_s)
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            raise self._translated(error, host=url.host or "") from error

    async def _body(self, response: aiohttp.ClientResponse, *, host: str) -> bytes:
        """Unpack while receiving: a decompression bomb ends at the limit."""
        is_error = response.status != HTTPStatus.OK
        max_bytes = _MAX_ERROR_BYTES if is_error else self.max_body_bytes
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                response.close()
                if is_error:
                    break
                raise OversizeError(
                    f"{host}: the response is larger than {max_bytes} bytes", status=response.status
                )
        return bytes(body[:max_bytes])

    def _translated(
        self, error: aiohttp.ClientError | OSError | zlib.error, *, host: str
    ) -> TransientApiError:
        """Own texts: aiohttp's contain addresses, and a proxy's address may hold a password."""
        reason = _reason(error)
        if _CERTIFICATE_ALERT.search(reason):
            return CertificateRefusedError(f"{host}: refuses our certificate: {reason}")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return UntrustedServerError(
                f"{host}: its certificate cannot be trusted: {reason}",
                hint="behind an inspecting proxy, add its CA file",
            )
        for own_class, templates in _TEMPLATES.items():
            for aiohttp_class, template in templates.items():
                if isinstance(error, aiohttp_class):
                    text = template.format(reason=reason, timeout=self.timeout)
                    hint = "see HTTPS_PROXY and NO_PROXY" if text.startswith("the proxy") else ""
                    return own_class(f"{host}: {text}", hint=hint)
        return TransientApiError(f"{host}: connection lost: {reason}")


# The first match counts: some of these classes are ancestors of others.
_TEMPLATES: dict[type[TransientApiError], dict[type[Exception], str]] = {
    UnreachableError: {
        aiohttp.ClientConnectorSSLError: "no TLS connection: {reason}",
        aiohttp.ClientConnectorDNSError: "the name cannot be resolved",
        aiohttp.ClientProxyConnectionError: "the proxy cannot be reached: {reason}",
        aiohttp.ClientConnectorError: "no connection: {reason}",
        aiohttp.ClientHttpProxyError: "the proxy refuses: {reason}",
        aiohttp.ConnectionTimeoutError: "no connection within {timeout.sock_connect:g} s",
    },
    TransientApiError: {
        aiohttp.SocketTimeoutError: "silent for {timeout.sock_read:g} s",
        TimeoutError: "no complete response within {timeout.total:g} s",
        aiohttp.ServerDisconnectedError: "it closed the connection without a response",
        aiohttp.ClientPayloadError: "the response is cut short or cannot be unpacked",
        zlib.error: "the response cannot be unpacked",
        aiohttp.ClientResponseError: "the response is not HTTP",
    },
}


def _reason(error: BaseException) -> str:
    """The reason that OpenSSL, the system or the proxy gives."""
    if isinstance(error, aiohttp.ClientResponseError):
        return str(error.status)
    # aiohttp's own TLS errors are of OpenSSL's class but lack its fields: they come last.
    for cause in (getattr(error, "os_error", None), error.__cause__, error):
        if isinstance(cause, ConnectionError) and cause.errno is not None:
            return os.strerror(cause.errno)  # asyncio's text is "Connect call failed (…)"
        for name in ("verify_message", "reason", "strerror"):
            if isinstance(cause, OSError) and (text := getattr(cause, name, None)):
                return str(text)
    return type(getattr(error, "os_error", error)).__name__
