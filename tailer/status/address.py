"""Where the status page is: host and port, or a socket in the file system. Pure."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

UNIX_PREFIX = "unix:"


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


def parse_address(listen: str) -> HostPort | UnixPath:
    """Of a text that the configuration's reader has let pass."""
    if listen.startswith(UNIX_PREFIX):
        return UnixPath(Path(listen.removeprefix(UNIX_PREFIX)))
    split = urlsplit(f"//{listen}")
    assert split.hostname is not None
    assert split.port is not None
    return HostPort(split.hostname, split.port)
