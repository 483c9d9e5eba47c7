"""Every exception class of aiohttp becomes an error of the product's own, and shows no secret."""

import errno
import inspect
import re
import socket
import ssl
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from aioresponses import aioresponses
from multidict import CIMultiDict, CIMultiDictProxy
from support.fake_service import FakeService, calling
from support.virtual_time import START_NS, VirtualClock
from yarl import URL

from tailer.aicore.transport import CertificateRefusedError, HttpTransport, UntrustedServerError
from tailer.errors import TransientApiError, UnreachableError

PLACE = URL("https://api.example/v2/lm/deployments")
PROXY = URL("http://somebody:hunter2@proxy.example:3128")
KEY = ConnectionKey("api.example", 443, True, True, PROXY, None, None)
REQUEST = RequestInfo(PLACE, "GET", CIMultiDictProxy(CIMultiDict()), PLACE)
TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)


def refused(number: int) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, OSError(number, "Connect call failed ('10.0.0.1')"))


def alert() -> aiohttp.ClientConnectorSSLError:
    words = "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"
    error = ssl.SSLError(1, words)
    error.reason = "TLSV1_ALERT_UNKNOWN_CA"
    return aiohttp.ClientConnectorSSLError(KEY, error)


def untrusted() -> aiohttp.ClientConnectorCertificateError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return aiohttp.ClientConnectorCertificateError(KEY, error)


NO_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_CONNECTION, CUT, NOT_HTTP = "no connection", "connection lost", "not HTTP"

CASES: tuple[tuple[Exception, type[TransientApiError], str], ...] = (
    # Before there is a connection.
    (refused(errno.ECONNREFUSED), UnreachableError, "no connection: Connection refused"),
    (refused(errno.ENETUNREACH), UnreachableError, NO_CONNECTION),
    (refused(errno.EHOSTUNREACH), UnreachableError, NO_CONNECTION),
    (refused(errno.ETIMEDOUT), UnreachableError, NO_CONNECTION),
    (refused(errno.EADDRNOTAVAIL), UnreachableError, NO_CONNECTION),
    (refused(errno.EMFILE), UnreachableError, NO_CONNECTION),
    (refused(errno.EACCES), UnreachableError, NO_CONNECTION),
    (aiohttp.ClientConnectorDNSError(KEY, NO_HOST), UnreachableError, "name cannot be resolved"),
    (
        client_exceptions.UnixClientConnectorError(
            "/run/api", KEY, OSError(errno.ENOENT, "no such file")
        ),
        UnreachableError,
        NO_CONNECTION,
    ),
    (
        aiohttp.ClientProxyConnectionError(KEY, OSError(errno.ECONNREFUSED, "refused")),
        UnreachableError,
        "proxy cannot be reached",
    ),
    (
        aiohttp.ClientHttpProxyError(REQUEST, (), status=407, message="Proxy Authentication"),
        UnreachableError,
        "proxy refuses: 407",
    ),
    (aiohttp.ConnectionTimeoutError(), UnreachableError, "within 10 s"),
    # TLS.
    (untrusted(), UntrustedServerError, "self-signed certificate"),
    (
        aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version number")),
        UnreachableError,
        "no TLS connection",
    ),
    (alert(), CertificateRefusedError, "refuses our certificate"),
    (
        aiohttp.ServerFingerprintMismatch(b"ours", b"theirs", "api.example", 443),
        TransientApiError,
        CUT,
    ),
    # A connection, but no whole answer.
    (aiohttp.ServerDisconnectedError(), TransientApiError, "closed the connection"),
    (aiohttp.ServerTimeoutError(), TransientApiError, "within 60 s"),
    (aiohttp.SocketTimeoutError(), TransientApiError, "silent for 30 s"),
    (TimeoutError(), TransientApiError, "within 60 s"),
    (
        aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer"),
        TransientApiError,
        "connection lost: Connection reset by peer",
    ),
    (aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), TransientApiError, "Broken pipe"),
    (ConnectionResetError(errno.ECONNRESET, "reset"), TransientApiError, CUT),
    (aiohttp.ClientConnectionResetError("Cannot write"), TransientApiError, CUT),
    (aiohttp.ServerConnectionError(), TransientApiError, CUT),
    (aiohttp.ClientConnectionError(), TransientApiError, CUT),
    (aiohttp.ClientPayloadError("not enough data"), TransientApiError, "cut short"),
    (aiohttp.ClientError(), TransientApiError, CUT),
    # An answer that is none, and addresses that cannot be asked.
    (aiohttp.ClientResponseError(REQUEST, (), status=400), TransientApiError, NOT_HTTP),
    (aiohttp.ContentTypeError(REQUEST, (), status=200), TransientApiError, NOT_HTTP),
    (aiohttp.WSServerHandshakeError(REQUEST, (), status=400), TransientApiError, NOT_HTTP),
    (aiohttp.TooManyRedirects(REQUEST, (), status=302), TransientApiError, NOT_HTTP),
    (aiohttp.InvalidURL(PROXY), TransientApiError, CUT),
    (aiohttp.InvalidUrlClientError(PROXY), TransientApiError, CUT),
    (aiohttp.NonHttpUrlClientError(PROXY), TransientApiError, CUT),
    (aiohttp.InvalidUrlRedirectClientError(PROXY), TransientApiError, CUT),
    (aiohttp.NonHttpUrlRedirectClientError(PROXY), TransientApiError, CUT),
    (client_exceptions.RedirectClientError(PROXY), TransientApiError, CUT),
    (client_exceptions.ClientSSLError(KEY, OSError()), UnreachableError, NO_CONNECTION),
    (client_exceptions.UploadAbortedError(), TransientApiError, CUT),
)


async def error_for(error: Exception, http: aioresponses) -> TransientApiError:
    """What the transport raises where aiohttp raises `error`."""
    http.get(PLACE, exception=error)
    async with aiohttp.ClientSession() as session:
        transport = HttpTransport(
            session, clock=VirtualClock(), timeout=TIMEOUT, max_body_bytes=1_000_000
        )
        with pytest.raises(TransientApiError) as raised:
            await transport.send("GET", PLACE, headers={})
    assert raised.value.__cause__ is error
    return raised.value


@pytest.mark.parametrize(
    ("error", "becomes", "text"),
    CASES,
    ids=[f"{type(error).__name__} {number}" for number, (error, _, _) in enumerate(CASES)],
)
async def test_an_exception_of_aiohttp_becomes_the_documented_error_and_names_the_host(
    error: Exception, becomes: type[TransientApiError], text: str, http: aioresponses
) -> None:
    raised = await error_for(error, http)

    assert type(raised) is becomes
    assert raised.message.startswith("api.example: ")
    assert text in raised.message
    assert "hunter2" not in str(raised)


def test_every_client_exception_of_aiohttp_has_a_case() -> None:
    classes = {
        member
        for _, member in inspect.getmembers(client_exceptions, inspect.isclass)
        if issubclass(member, aiohttp.ClientError)
    }

    assert classes - {type(error) for error, _, _ in CASES} == set()


async def test_an_exception_in_mid_request_is_reported_and_retried_until_the_lines_come(
    http: aioresponses,
) -> None:
    service = FakeService()
    lines = {"data": {"result": [{"msg": "one"}]}}
    date = formatdate(START_NS // 10**9, usegmt=True)
    http.post(f"{service.url}/oauth/token", payload={"access_token": "t", "expires_in": 3600})
    logs = re.compile(rf"{re.escape(service.url)}/v2/lm/deployments/.*/logs")
    http.get(logs, exception=aiohttp.ClientPayloadError("not enough data"))
    http.get(logs, exception=aiohttp.ServerDisconnectedError())
    http.get(logs, payload=lines, headers={"Date": date})
    async with calling(service.credentials()) as caller:
        messages = await caller.messages()

    assert messages == ["one"]
    assert [type(error) for error in caller.troubles.errors] == [TransientApiError] * 2
