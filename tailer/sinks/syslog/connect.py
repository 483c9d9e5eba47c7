"""Resolve, connect, TLS.

Whom a connection trusts and how it shows who we are, by a sink's `tls_` settings.

From a URL's host and port to a connection, asking for the name's address each time.
"""

import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
from anyio import to_thread

from tailer.clock import Clock
from tailer.config import SyslogSection
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.errors import failure, is_wrong_name, unresolved, wrong_name
from tailer.sinks.syslog.stream import StreamSocket

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


Endpoint: TypeAlias = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]
Resolve: TypeAlias = Callable[["Address", socket.SocketKind], Awaitable[Sequence[Endpoint]]]

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # Linux' names
_SHORTEST_PATIENCE_S: Final = 30.0  # with unacknowledged bytes; a route may change meanwhile

# In TLS 1.3 a server judges our certificate after our side of the handshake is over, and
# sends its verdict or its session tickets at once: what is sent meanwhile would be lost.
_VERDICT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


async def resolve(address: Address, kind: socket.SocketKind) -> Sequence[Endpoint]:
    """What the system's resolver says, in its order. Raises: OSError."""
    ask = partial(socket.getaddrinfo, address.host, address.port, type=kind)
    try:
        found = await to_thread.run_sync(ask, abandon_on_cancel=True)
    except UnicodeError as error:  # not a name at all, such as with a label of 64 characters
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return [(family, endpoint) for family, _, _, _, endpoint in found]


class Connector:
    """Opens connections to one server, with TLS if `tls` has the settings for it.

    `server` is how messages call it.
    """

    def __init__(
        self,
        server: str,
        address: Address,
        *,
        clock: Clock,
        connect_timeout_s: float,
        ack_timeout_s: float,
        tls: SyslogSection | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self.server = server
        self._address = address
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._tls = tls
        self._resolve = resolve
        self._stage = ""

    async def dial(self) -> StreamSocket:
        """Raises: TransientSinkError."""
        with anyio.move_on_after(self._connect_timeout_s):
            try:
                return await self._dial()
            except OSError as error:
                raise failure(self.server, error) from error
        raise TransientSinkError(
            f"{self.server}: no answer within {self._connect_timeout_s:g} s", hint=self._stage
        )

    async def _dial(self) -> StreamSocket:
        connected = await self._connect()
        try:
            if self._tls is not None:
                connected = await self._secure(connected, self._tls)
            wire = StreamSocket(connected, server=self.server, clock=self._clock)
            if isinstance(connected, ssl.SSLSocket) and connected.version() == "TLSv1.3":
                with anyio.move_on_after(_VERDICT_S):
                    await anyio.wait_readable(connected)
                wire.take()
        except BaseException:
            connected.close()
            raise
        return wire

    async def _connect(self) -> socket.socket:
        self._stage = "is the name server reachable?"
        endpoints = await self._resolve(self._address, socket.SOCK_STREAM)
        self._stage = "is the host up, and does a firewall let us through?"
        failed: OSError | None = None
        end_s = anyio.current_time() + self._connect_timeout_s
        for number, (family, endpoint) in enumerate(endpoints):
            # An address that swallows everything leaves time for the others, and for TLS.
            left_s = max(0.0, end_s - anyio.current_time())
            share_s = left_s / (len(endpoints) - number + 1)
            is_last = number == len(endpoints) - 1
            with anyio.move_on_after(None if is_last else share_s):
                try:
                    return await self._connect_to(family, endpoint)
                except OSError as error:
                    failed = error
        if failed is None:
            raise unresolved(self.server, None)
        raise failed

    async def _connect_to(
        self, family: socket.AddressFamily, endpoint: tuple[str | int | bytes, ...]
    ) -> socket.socket:
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            self._set_options(connecting)
            await finish_connecting(connecting, endpoint)
        except BaseException:
            connecting.close()
            raise
        return connecting

    def _set_options(self, connecting: socket.socket) -> None:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, seconds in _KEEPALIVE.items():
            if hasattr(socket, name):
                connecting.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Linux counts the time in which a living server does not read as well, so this
            # must not be shorter than what such a server is granted.
            patience_s = max(_SHORTEST_PATIENCE_S, self._ack_timeout_s)
            connecting.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(patience_s * 1000)
            )

    async def _secure(self, connected: socket.socket, settings: SyslogSection) -> ssl.SSLSocket:
        self._stage = "does it speak TLS on that port?"
        context = await to_thread.run_sync(
            partial(client_context, settings, server=self.server),
            abandon_on_cancel=True,  # a file system that hangs must not hold up the end
        )
        try:
            return await self._shaken(connected, context)
        except ssl.SSLCertVerificationError as error:
            if not is_wrong_name(error):
                raise
            names = await self._names_it_has(context)
            raise wrong_name(self.server, wanted=self._server_name, names=names) from error

    @property
    def _server_name(self) -> str:
        return (self._tls and self._tls.tls_server_name) or self._address.host

    async def _shaken(self, connected: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """With TLS over `connected`, which belongs to the result from then on."""
        try:
            tls = context.wrap_socket(
                connected, server_hostname=self._server_name, do_handshake_on_connect=False
            )
        except ValueError as error:
            raise TransientSinkError(
                f"{self.server}: TLS knows no host {self._server_name}", hint="see tls_server_name"
            ) from error
        try:
            await shake_hands(tls)
        except BaseException:
            tls.close()
            raise
        return tls

    async def _names_it_has(self, context: ssl.SSLContext) -> tuple[str, ...]:
        """A second connection, over which nothing is sent: a refused certificate has no names."""
        context.check_hostname = False  # its authority is checked nevertheless
        try:
            tls = await self._shaken(await self._connect(), context)
        except (OSError, TransientSinkError):
            return ()
        names = names_in_certificate(tls)
        tls.close()
        return names


async def finish_connecting(
    connecting: socket.socket, endpoint: tuple[str | int | bytes, ...]
) -> None:
    """Raises: OSError."""
    code = connecting.connect_ex(endpoint)
    if code == errno.EINPROGRESS:
        await anyio.wait_writable(connecting)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not code and _is_to_itself(connecting):
        code = errno.ECONNREFUSED
    if code:
        raise OSError(code, os.strerror(code))


def _is_to_itself(connected: socket.socket) -> bool:
    """Whether its own port was, by chance, the one asked for, where nobody listens.

    Toward this machine a system may give us that port, and TCP then connects the socket
    with itself: all that is sent would be acknowledged, by us.
    """
    with suppress(OSError):  # reset meanwhile, so somebody was there
        return bool(connected.getsockname() == connected.getpeername())
    return False
