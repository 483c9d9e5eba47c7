"""TLS of the API client: trusted authorities, client certificate."""

import os
import ssl
import sys
import tempfile
from pathlib import Path

from tailer.aicore.credentials import CertificateFiles, CertificateText
from tailer.config.tls import client_context, error_reason, load_client_certificate
from tailer.errors import AuthError, ConfigError


def api_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the machine's authorities and those in `ca_file`. Raises: ConfigError."""
    context = client_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ConfigError(f"cannot use the CA file {ca_file}: {error}") from error
    return context


def token_context(
    certificate: CertificateText | CertificateFiles, *, ca_file: Path | None
) -> ssl.SSLContext:
    """`api_context` with a client certificate, for the token endpoint only. Raises: AuthError."""
    context = api_context(ca_file)
    try:
        if isinstance(certificate, CertificateFiles):
            load_client_certificate(context, certificate.certificate, certificate.key)
        else:
            pem = f"{certificate.certificate}\n{certificate.key.reveal()}\n"
            _load_text(context, pem.encode())
    except OSError as error:
        raise AuthError(
            f"cannot use the client certificate and key: {error_reason(error)}",
            hint="PEM, without a passphrase, and belonging together",
        ) from error
    return context


def _load_text(context: ssl.SSLContext, pem: bytes) -> None:
    """Through a memory file: Python's `ssl` reads certificates from paths only."""
    if sys.platform == "linux":
        memory_fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        with open(memory_fd, "wb") as file:  # noqa: PTH123 - only its descriptor has a path
            file.write(pem)
            file.flush()
            path = Path(f"/proc/self/fd/{memory_fd}")
            load_client_certificate(context, path, path)
    else:
        with tempfile.NamedTemporaryFile() as file:  # created with mode 0600
            file.write(pem)
            file.flush()
            load_client_certificate(context, Path(file.name), Path(file.name))
