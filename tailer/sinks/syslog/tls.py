"""Whom a connection trusts and how it shows who we are, by a sink's `tls_` settings."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from tailer.config import SyslogSection
from tailer.errors import TransientSinkError

_NO_PASSPHRASE = ""  # else OpenSSL would ask for it on the terminal


def client_context(section: SyslogSection, *, server: str) -> ssl.SSLContext:
    """TLS 1.2 up, chain and host name checked. Reads all files anew: certificates are renewed.

    `tls_ca_file`, where it is set, is trusted instead of the machine's authorities.

    Raises:
        TransientSinkError: A file cannot be used. It may be there at the next attempt.
    """
    with _reading(server, f"tls_ca_file {section.tls_ca_file}", "an authority's certificate"):
        context = ssl.create_default_context(cafile=section.tls_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a write that must read first could wait for ever
    if section.tls_dangerously_accept_any_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = section.tls_cert_file, section.tls_key_file
    if certificate is not None:
        files = {"tls_cert_file": certificate, "tls_key_file": key or certificate}
        for name, path in files.items():  # OpenSSL does not say which of the two is missing
            with _reading(server, f"{name} {path}", "a file that this process may read"):
                path.open("rb").close()
        both = " and ".join(f"{name} {path}" for name, path in files.items())
        with _reading(server, both, "a certificate and its own key, without a passphrase"):
            context.load_cert_chain(certificate, key, password=_NO_PASSPHRASE)
    return context


@contextmanager
def _reading(server: str, files: str, needed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # OpenSSL's are among them, and quote nothing of a file
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "not what it should be").lower().replace("_", " ")
        else:
            reason = error.strerror or type(error).__name__
        raise TransientSinkError(
            f"{server}: cannot use {files}: {reason}", hint=f"needed is {needed}, in PEM"
        ) from error


async def shake_hands(tls: ssl.SSLSocket) -> None:
    """Raises: OSError, of which ssl.SSLError is one."""
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await anyio.wait_readable(tls)
        except ssl.SSLWantWriteError:
            await anyio.wait_writable(tls)
        else:
            return


def names_in_certificate(tls: ssl.SSLSocket) -> tuple[str, ...]:
    """Whom a certificate that was checked is for."""
    certificate: dict[str, Any] = dict(tls.getpeercert() or {})
    return tuple(name for _, name in certificate.get("subjectAltName", ()))
