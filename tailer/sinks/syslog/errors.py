"""What went wrong on the way to a server, in words for whoever must mend it. Pure."""

import errno
import os
import socket
import ssl
from typing import Final

from tailer.errors import TransientSinkError

_SEE_ITS_LOG: Final = "its own log may say why"
_UNREACHABLE: Final = ("no route to it", "look at the network, the firewall and the address")
_SOCKET_GONE: Final = (
    "nobody listens on that socket",
    "is the syslog daemon running? in a container the socket has to be mounted",
)

_SYSTEM: Final = {
    errno.ECONNREFUSED: ("connection refused", "is it running and listening there?"),
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
    errno.ECONNRESET: ("the server reset the connection", _SEE_ITS_LOG),
    errno.EPIPE: ("the server closed the connection", _SEE_ITS_LOG),
    errno.ETIMEDOUT: ("the connection is dead: nothing comes back", "is the host still up?"),
    errno.ENOENT: _SOCKET_GONE,
    errno.ENOTCONN: _SOCKET_GONE,
    errno.EACCES: ("permission denied", "may the user of this process write there?"),
    errno.EMFILE: ("too many open files", "raise the limit of open files (ulimit -n)"),
}

_ASKED_FOR_A_CERTIFICATE: Final = "set tls_cert_file and tls_key_file to what it accepts"
_ITS_AUTHORITY: Final = "set tls_ca_file to the certificate of that authority"

# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_UNVERIFIED: Final = {
    9: ("is not valid yet", "compare the clocks of both machines"),
    10: ("has expired", "it must be renewed on the server"),
    18: ("is self-signed", "set tls_ca_file to that certificate, if it is the right one"),
    19: ("is signed by an authority that is not known here", _ITS_AUTHORITY),
    20: ("is signed by an authority that is not known here", _ITS_AUTHORITY),
    21: ("is signed by an authority that is not known here", _ITS_AUTHORITY),
    23: ("was revoked", "it must be renewed on the server"),
}
_WRONG_NAME: Final = frozenset({62, 64})  # by host name, by IP address

# Alerts of the server (RFC 8446, 6), by OpenSSL's names: the first that is contained counts.
_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", "the server asks for a client certificate", _ASKED_FOR_A_CERTIFICATE),
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

_SHOWN_CHARACTERS: Final = 100
_TLS_ALERT: Final = b"\x15\x03"  # RFC 8446, 5.1: content type and major version


def failure(server: str, error: OSError) -> TransientSinkError:
    """Of a system call or of TLS, connecting or connected."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(server, error)
    if isinstance(error, ssl.SSLError):
        return _tls_failure(server, error)
    if isinstance(error, socket.gaierror):
        return unresolved(server, error.strerror)
    known = _SYSTEM.get(error.errno or 0)
    if known is not None:
        return TransientSinkError(f"{server}: {known[0]}", hint=known[1])
    reason = os.strerror(error.errno) if error.errno else str(error)
    return TransientSinkError(f"{server}: {reason}")


def unresolved(server: str, reason: str | None) -> TransientSinkError:
    return TransientSinkError(
        f"{server}: the name does not resolve: {reason or 'no address'}",
        hint="a typing error, or this machine's name server",
    )


def ended(server: str) -> TransientSinkError:
    """The server sent its FIN."""
    return TransientSinkError(f"{server}: the server closed the connection", hint=_SEE_ITS_LOG)


def is_tls_alert(received: bytes) -> bool:
    """Whether a server, spoken to without TLS, complains in TLS."""
    return received.startswith(_TLS_ALERT)


def needs_tls(server: str) -> TransientSinkError:
    return TransientSinkError(
        f"{server}: the server speaks TLS there",
        hint="take its port without TLS, or the scheme with TLS: tls:// or relp+tls://",
    )


def wrong_name(server: str, *, wanted: str, names: tuple[str, ...]) -> TransientSinkError:
    has = f": it is for {', '.join(names)}" if names else ""
    return TransientSinkError(
        f"{server}: the server's certificate is not for {wanted}{has}",
        hint="set tls_server_name to the name that it should have, or take that one in the url",
    )


def is_wrong_name(error: OSError) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _WRONG_NAME


def printable(text: bytes) -> str:
    """What a server said, fit for one line of a log."""
    shown = text.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def _unverified(server: str, error: ssl.SSLCertVerificationError) -> TransientSinkError:
    what, hint = _UNVERIFIED.get(
        error.verify_code, (f"cannot be trusted: {error.verify_message}", "")
    )
    return TransientSinkError(f"{server}: the server's certificate {what}", hint=hint)


def _tls_failure(server: str, error: ssl.SSLError) -> TransientSinkError:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError) or "UNEXPECTED_EOF" in reason:
        return TransientSinkError(
            f"{server}: the server closed the connection in the middle of TLS",
            hint="does it speak TLS there, and does it want a client certificate?",
        )
    for name, what, hint in _ALERTS:
        if name in reason:
            return TransientSinkError(
                f"{server}: {what} ({_in_words(reason)})", hint=hint or _ASKED_FOR_A_CERTIFICATE
            )
    if any(name in reason for name in _NOT_TLS):
        return TransientSinkError(
            f"{server}: what answers there is not TLS",
            hint="a port without TLS? take its TLS port, or the scheme without tls",
        )
    return TransientSinkError(f"{server}: TLS failed: {_in_words(reason) or type(error).__name__}")


def _in_words(reason: str) -> str:
    return reason.lower().replace("_", " ")
