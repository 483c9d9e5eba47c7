"""Sockets of the status page: to listen at an address, and to talk over what is accepted.

Plain ones. anyio's own streams over unix sockets trip over a cancellation that comes
together with news from the other side (InvalidStateError, 4.16), and that happens here.
"""

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import anyio

from tailer.errors import ConfigError
from tailer.status.address import HostPort, UnixPath, parse_address

_SOCKET_MODE = 0o660
_BACKLOG = 128
_PROBE_S = 1.0


class Connection:
    """One that was accepted. Errors: OSError, when the other side is gone."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        self._socket = accepted

    async def receive(self, max_bytes: int) -> bytes:
        """Empty at the end."""
        while True:
            await anyio.wait_readable(self._socket)
            with suppress(BlockingIOError):
                return self._socket.recv(max_bytes)

    async def send(self, words: bytes) -> None:
        left = memoryview(words)
        while left:
            await anyio.wait_writable(self._socket)
            with suppress(BlockingIOError):
                left = left[self._socket.send(left) :]

    def end_sending(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


async def accept(listening: socket.socket) -> Connection:
    """The next connection. Errors: OSError, such as too many open files."""
    while True:
        await anyio.wait_readable(listening)
        with suppress(BlockingIOError, ConnectionAbortedError):
            return Connection(listening.accept()[0])


@asynccontextmanager
async def listening_at(listen: str) -> AsyncIterator[Sequence[socket.socket]]:
    """Sockets that listen at `listen` for as long as the block lasts; none if that is empty.

    Raises:
        ConfigError: Somebody serves there already, or nobody may.
    """
    if not listen:
        yield ()
        return
    address = parse_address(listen)
    if isinstance(address, UnixPath):
        with _unix_socket(address) as made:
            yield (made,)
        return
    with ExitStack() as open_sockets:
        with _translated(address):
            found = await anyio.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            made_all = [
                open_sockets.enter_context(closing(_tcp_socket(family, place)))
                for family, place in dict.fromkeys((one[0], one[4]) for one in found)
            ]
        yield made_all


def _tcp_socket(family: int, place: tuple[str, int] | tuple[str, int, int, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are over
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(place)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _unix_socket(address: UnixPath) -> Iterator[socket.socket]:
    """Made beside its place and moved there: nobody ever finds it with other rights."""
    path = address.path
    beside = path.with_name(f"{path.name}.new")
    with socket.socket(socket.AF_UNIX) as made:
        with _translated(address):
            _refuse_what_is_not_ours(path)
            with suppress(FileNotFoundError):
                beside.unlink()
            made.setblocking(False)
            made.bind(os.fspath(beside))
            beside.chmod(_SOCKET_MODE)
            made.listen(_BACKLOG)
            ours = beside.stat()
            beside.rename(path)
        try:
            yield made
        finally:
            with suppress(OSError):
                if os.path.samestat(path.stat(), ours):  # else it is another one's by now
                    path.unlink()


def _refuse_what_is_not_ours(path: Path) -> None:
    """A socket that nobody answers at was left behind, and may be replaced. Nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, which is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return
        except TimeoutError:
            pass  # it is busy, which is a way of being there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


@contextmanager
def _translated(address: HostPort | UnixPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = _WORDS.get(error.errno or 0) or error.strerror or str(error)
        raise ConfigError(
            f"[status] listen: nothing can be served at {address}: {reason}",
            hint='end what has it, or give this service another one ("" for none)',
        ) from error


_WORDS = {
    errno.EADDRINUSE: "somebody serves there already",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "tailer may not",
}
