"""TLS for clients: contexts and certificate files in PEM."""

import ssl
from pathlib import Path


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later; certificate chain and host name are checked.

    `ca_file` replaces the machine's authorities. Raises: OSError, also ssl.SSLError.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Raises: OSError, whose `filename` is the file that cannot be read; also ssl.SSLError."""
    for path in dict.fromkeys((certificate, key)):
        path.open("rb").close()  # OpenSSL does not report which of the two is missing
    context.load_cert_chain(certificate, key, password="")  # or OpenSSL asks on the terminal


def error_reason(error: OSError) -> str:
    """OpenSSL's or the system's reason, preceded by the file if the system names one.

    Neither of them quotes the content of a file.
    """
    if isinstance(error, ssl.SSLError):
        return (error.reason or "invalid content").lower().replace("_", " ")
    reason = error.strerror or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason
