"""Asks a running service for its status. Blocks; for threads and commands."""

import http.client
import os
import socket

import msgspec

from tailer.errors import NotFoundError
from tailer.status.address import HostPort, UnixPath
from tailer.status.document import Document

_TIMEOUT_S = 10.0
_MOST_BYTES = 16 << 20


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: os.PathLike[str]) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(os.fspath(self._path))


def ask_for_status(address: HostPort | UnixPath) -> tuple[bytes, Document]:
    """The document, as received and as read.

    Raises:
        NotFoundError: Nothing answers there, or something else.
    """
    connection = (
        _UnixConnection(address.path)
        if isinstance(address, UnixPath)
        else http.client.HTTPConnection(_reachable(address.host), address.port, timeout=_TIMEOUT_S)
    )
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotFoundError(
            f"nothing answers at {address}: {reason}",
            hint="is `tailer run` running, with that address as [status] listen?",
        ) from error
    finally:
        connection.close()
    try:
        return body, msgspec.json.decode(body, type=Document)
    except msgspec.DecodeError as error:
        raise NotFoundError(
            f"what answers at {address} is no tailer of this version: {error}"
        ) from error


def _reachable(host: str) -> str:
    """Who listens everywhere is found here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not to listen
