"""Socket and TLS errors as one clear line with a hint for the operator. Pure."""

import errno
import os
import socket
import ssl
from typing import Final

from tailer.errors import TransientSinkError

_SEE_SERVER_LOG: Final = "the server's log may give the reason"
_NO_ROUTE: Final = ("no route to the host", "check the network, the firewall and the address")
_NO_LISTENER: Final = (
    "no process listens on that socket",
    "is the syslog daemon running? in a container the socket has to be mounted",
)

_SYSTEM: Final = {
    errno.ECONNREFUSED: ("connection refused", "is a server listening on that port?"),
    errno.EHOSTUNREACH: _NO_ROUTE,
    errno.ENETUNREACH: _NO_ROUTE,
    errno.ENETDOWN: _NO_ROUTE,
    errno.ECONNRESET: ("the server reset the connection", _SEE_SERVER_LOG),
    errno.EPIPE: ("the server closed the connection", _SEE_SERVER_LOG),
    errno.ETIMEDOUT: ("the connection timed out", "is the host still up?"),
    errno.ENOENT: _NO_LISTENER,
    errno.ENOTCONN: _NO_LISTENER,
    errno.EACCES: ("permission denied", "may the user of this process write there?"),
    errno.EMFILE: ("too many open files", "raise the limit of open files (ulimit -n)"),
}

_CLIENT_CERTIFICATE_HINT: Final = "set tls_cert_file and tls_key_file to what it accepts"
_UNKNOWN_AUTHORITY: Final = (
    "is signed by an authority that is not trusted here",
    "set tls_ca_file to the certificate of that authority",
)

# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_UNVERIFIED: Final = {
    9: ("is not valid yet", "compare the clocks of both machines"),
    10: ("has expired", "renew it on the server"),
    18: ("is self-signed", "set tls_ca_file to that certificate, if it is the right one"),
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    23: ("was revoked", "renew it on the server"),
}
WRONG_NAME: Final = frozenset({62, 64})  # by host name, by IP address

# Alerts of the server (RFC 8446, 6), by OpenSSL's names: the first that is contained counts.
_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", "the server asks for a client certificate", _CLIENT_CERTIFICATE_HINT),
    ("ALERT_UNKNOWN_CA", "the server does not know our certificate's authority", ""),
    ("ALERT_CERTIFICATE_EXPIRED", "our certificate has expired", "renew tls_cert_file"),
    ("ALERT_PROTOCOL_VERSION", "no common TLS version", "it must speak TLS 1.2 or later"),
    ("UNSUPPORTED_PROTOCOL", "no common TLS version", "it must speak TLS 1.2 or later"),
    ("ALERT_UNRECOGNIZED_NAME", "the server does not go by that name", "see tls_server_name"),
    ("ALERT_HANDSHAKE_FAILURE", "the server refused the TLS handshake", ""),
    ("CERTIFICATE", "the server refuses our certificate", ""),
    ("ALERT_ACCESS_DENIED", "the server refuses our certificate", ""),
)
_NOT_TLS: Final = (
    *("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"),
    *("UNEXPECTED_MESSAGE", "BAD_RECORD_TYPE", "INVALID_ALERT", "TOO_LARGE"),
)

_PRINTED_CHARACTERS: Final = 100
_TLS_ALERT: Final = b"\x15\x03"  # RFC 8446, 5.1: content type and major version


def failure(server: str, error: OSError) -> TransientSinkError:
    """For an error of a system call or of TLS, while connecting or later."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason, hint = _UNVERIFIED.get(
            error.verify_code, (f"cannot be trusted: {error.verify_message}", "")
        )
        return TransientSinkError(f"{server}: the server's certificate {reason}", hint=hint)
    if isinstance(error, ssl.SSLError):
        return _tls_failure(server, error)
    if isinstance(error, socket.gaierror):
        return unresolved(server, error.strerror)
    if error.errno in _SYSTEM:
        reason, hint = _SYSTEM[error.errno]
        return TransientSinkError(f"{server}: {reason}", hint=hint)
    return TransientSinkError(f"{server}: {os.strerror(error.errno) if error.errno else error}")


def unresolved(server: str, reason: str | None) -> TransientSinkError:
    return TransientSinkError(
        f"{server}: the name does not resolve: {reason or 'no address'}",
        hint="check the name, and this machine's name server",
    )


def stalled(server: str, timeout_s: float) -> TransientSinkError:
    return TransientSinkError(
        f"{server}: the server accepted nothing for {timeout_s:g} s",
        hint="it hangs, or is too busy to read",
    )


def check_not_tls(server: str, received: bytes) -> None:
    """Raises: TransientSinkError if a server answered a connection without TLS in TLS."""
    if received.startswith(_TLS_ALERT):
        raise TransientSinkError(
            f"{server}: the server speaks TLS on that port",
            hint="use its port without TLS, or the scheme with TLS: tls:// or relp+tls://",
        )


def wrong_name(server: str, *, wanted: str, names: tuple[str, ...]) -> TransientSinkError:
    present = f": it is for {', '.join(names)}" if names else ""
    return TransientSinkError(
        f"{server}: the server's certificate is not for {wanted}{present}",
        hint="set tls_server_name to a name in the certificate, or use that name in the url",
    )


def printable(text: bytes) -> str:
    """A server's text in at most 100 printable characters, for one line of a log."""
    decoded = text.decode("utf-8", "replace")[:_PRINTED_CHARACTERS]
    return "".join(letter if letter.isprintable() else "?" for letter in decoded)


def _tls_failure(server: str, error: ssl.SSLError) -> TransientSinkError:
    name = error.reason or ""
    text = name.lower().replace("_", " ")
    if isinstance(error, ssl.SSLEOFError) or "UNEXPECTED_EOF" in name:
        return TransientSinkError(
            f"{server}: the server closed the connection in the middle of TLS",
            hint="does it speak TLS there, and does it want a client certificate?",
        )
    for part, message, hint in _ALERTS:
        if part in name:
            return TransientSinkError(
                f"{server}: {message} ({text})", hint=hint or _CLIENT_CERTIFICATE_HINT
            )
    if any(part in name for part in _NOT_TLS):
        return TransientSinkError(
            f"{server}: the server does not speak TLS on that port",
            hint="use its TLS port, or the scheme without TLS",
        )
    return TransientSinkError(f"{server}: TLS failed: {text or type(error).__name__}")
