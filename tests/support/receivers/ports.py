"""Ports and sockets that stay reserved while a receiver restarts."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from support.receivers.ways import Way

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"  # the kernel's TCP_LISTEN, as /proc/net/tcp has it


@dataclass(frozen=True, slots=True)
class Places:
    """A port on loopback for each way that has one, for the others a socket's path."""

    ways: Mapping[str, Way]
    ports: Mapping[str, int]
    sockets: Mapping[str, str]

    @property
    def urls(self) -> dict[str, str]:
        return {
            name: f"{way.scheme}://{LOOPBACK}:{self.ports[name]}"
            if way.has_port
            else f"unix://{self.sockets[name]}"
            for name, way in self.ways.items()
        }

    @property
    def as_text(self) -> dict[str, str]:
        """Where each way is, for a configuration."""
        return {name: str(port) for name, port in self.ports.items()} | dict(self.sockets)

    def not_taken(self) -> list[str]:
        """Asks the kernel, not the port: a receiver would log a connection that says nothing."""
        listening = {port for port, state in _sockets("tcp") if state == _LISTENING}
        bound = {port for port, _ in _sockets("udp")}
        paths = {line.rpartition(" ")[2] for line in _lines("unix")}
        without_port = [
            name
            for name, port in self.ports.items()
            if port not in (bound if self.ways[name].scheme == "udp" else listening)
        ]
        return without_port + [name for name, path in self.sockets.items() if path not in paths]


@contextmanager
def reserved_places(ways: Mapping[str, Way]) -> Iterator[Places]:
    """Reserve ports and socket paths, also while the receiver is down."""
    with ExitStack() as held:
        ports = {name: _reserve_port(held) for name, way in ways.items() if way.has_port}
        # A socket's path must not be longer than 107 bytes, and pytest's directories are long.
        folder = held.enter_context(TemporaryDirectory(prefix="tailer-"))
        sockets = {name: f"{folder}/{name}" for name, way in ways.items() if not way.has_port}
        yield Places(ways, ports, sockets)


def _reserve_port(held: ExitStack) -> int:
    """Reserve a TCP port whose number is free for UDP as well.

    A socket that is bound and never listens blocks its port for all processes except those
    that bind the same number with SO_REUSEADDR, as syslog services do. This function sets
    SO_REUSEADDR after bind(), or another reservation could get the same number.
    """
    while True:
        keeper = held.enter_context(socket.socket())
        keeper.bind((LOOPBACK, 0))
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port: int = keeper.getsockname()[1]
        with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, port))
            return port


def _sockets(kind: str) -> list[tuple[int, str]]:
    """Local port and state."""
    fields = [line.split() for line in _lines(kind)]
    return [(int(local.rpartition(":")[2], 16), state) for _, local, _, state, *_ in fields]


def _lines(kind: str) -> list[str]:
    return Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
