"""Whom we trust, and how we show who we are."""

import os
import ssl
import sys
import tempfile
from pathlib import Path

from tailer.aicore.credentials import CertificateFiles, CertificateText
from tailer.errors import AuthError, ConfigError


def trusting_context(ca_file: Path | None) -> ssl.SSLContext:
    """The machine's authorities and those in `ca_file`; host names are checked, TLS is 1.2 up.

    Raises:
        ConfigError: `ca_file` is unreadable or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot use the CA file {ca_file}: {error}") from error
    return context


def presenting_context(
    proof: CertificateText | CertificateFiles, *, ca_file: Path | None
) -> ssl.SSLContext:
    """The same, and shows the client's certificate. For the token endpoint only.

    Raises:
        AuthError: The certificate or key is unreadable, or they do not belong together.
    """
    context = trusting_context(ca_file)
    try:
        if isinstance(proof, CertificateFiles):
            _load(context, proof.certificate, proof.key)
        else:
            _load_text(context, f"{proof.certificate}\n{proof.key.reveal()}\n".encode())
    except (OSError, ssl.SSLError) as error:
        where = f" {error.filename}" if error.filename else ""
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise AuthError(
            f"cannot use the client certificate and key{where}: {reason}",
            hint="PEM, without a passphrase, and belonging together",
        ) from error
    return context


def _load_text(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL's binding reads certificates from paths only; this one leaves no trace on disk."""
    if sys.platform == "linux":
        memory_fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        with open(memory_fd, "wb") as file:  # noqa: PTH123 - it has no path but this one
            file.write(pem)
            file.flush()
            path = Path(f"/proc/self/fd/{memory_fd}")
            _load(context, path, path)
    else:
        with tempfile.NamedTemporaryFile() as file:  # created with mode 0600
            file.write(pem)
            file.flush()
            _load(context, Path(file.name), Path(file.name))


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path in {certificate, key}:
        path.open("rb").close()  # OpenSSL does not say which of the two is missing
    context.load_cert_chain(certificate, key, password="")  # or OpenSSL asks on the terminal
