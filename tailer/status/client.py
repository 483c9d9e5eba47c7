"""Client of the status page: parse its address, fetch the status of a running service.

Blocking, for threads and commands. Without aiohttp, which takes a while to import.
"""

import http.client
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tailer.errors import NotFoundError
from tailer.status.document import Document

UNIX_PREFIX = "unix:"
_TIMEOUT_S = 10.0
_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class HostPort:
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixPath:
    path: Path

    def __str__(self) -> str:
        return f"{UNIX_PREFIX}{self.path}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: os.PathLike[str]) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(os.fspath(self._path))


def parse_address(listen: str) -> HostPort | UnixPath:
    """Parse `[status] listen`, which the configuration has already validated. Pure."""
    if listen.startswith(UNIX_PREFIX):
        return UnixPath(Path(listen.removeprefix(UNIX_PREFIX)))
    split = urlsplit(f"//{listen}")
    assert split.hostname is not None
    assert split.port is not None
    return HostPort(split.hostname, split.port)


def ask_for_status(address: HostPort | UnixPath) -> tuple[bytes, Document]:
    """Fetch `/status`: the JSON as received, and decoded.

    Raises:
        NotFoundError: There is no response, or not one of a compatible tailer.
    """
    connection = (
        _UnixConnection(address.path)
        if isinstance(address, UnixPath)
        else http.client.HTTPConnection(_reachable(address.host), address.port, timeout=_TIMEOUT_S)
    )
    try:
        connection.request("GET", "/status")
        body = connection.getresponse().read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotFoundError(
            f"no response from {address}: {reason}",
            hint="check that `tailer run` is running, with this address as [status] listen",
        ) from error
    finally:
        connection.close()
    try:
        return body, msgspec.json.decode(body, type=Document)
    except msgspec.DecodeError as error:
        raise NotFoundError(
            f"unexpected response from {address}: not a compatible tailer ({error})"
        ) from error


def _reachable(host: str) -> str:
    """The loopback address instead of a wildcard, to which no client can connect."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not to listen
