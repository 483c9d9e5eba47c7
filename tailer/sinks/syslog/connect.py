"""Connect to a syslog server: resolve the name, connect, TLS handshake.

The name is resolved for each connection. With TLS, the sink's `tls_` settings decide which
servers are trusted and which client certificate is sent.
"""

import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
from anyio import to_thread

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.config.tls import client_context, error_reason, load_client_certificate
from tailer.errors import TransientSinkError
from tailer.sinks.syslog.errors import WRONG_NAME, failure, unresolved, wrong_name
from tailer.sinks.syslog.stream import StreamSocket

SocketAddress: TypeAlias = tuple[str | int | bytes, ...]
Endpoint: TypeAlias = tuple[socket.AddressFamily, SocketAddress]
Resolve: TypeAlias = Callable[["Address", socket.SocketKind], Awaitable[Sequence[Endpoint]]]

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # Linux' names
_MIN_USER_TIMEOUT_S: Final = 30.0  # with unacknowledged bytes; a route may change meanwhile

# In TLS 1.3 a server checks our certificate after our side of the handshake is complete, and
# then sends an alert or its session tickets. Bytes sent before an alert arrives would be lost.
_ALERT_WAIT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


async def resolve(address: Address, kind: socket.SocketKind) -> Sequence[Endpoint]:
    """The addresses of the system's resolver, in its order. Raises: OSError."""
    lookup = partial(socket.getaddrinfo, address.host, address.port, type=kind)
    try:
        found = await to_thread.run_sync(lookup, abandon_on_cancel=True)
    except UnicodeError as error:  # not a valid name, for example a label of 64 characters
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return [(family, endpoint) for family, _, _, _, endpoint in found]


@contextmanager
def nonblocking_socket(
    family: socket.AddressFamily, kind: socket.SocketKind
) -> Iterator[socket.socket]:
    """A new socket, closed only if the block raises."""
    created = socket.socket(family, kind)
    try:
        created.setblocking(False)
        yield created
    except BaseException:
        created.close()
        raise


@dataclass(slots=True)
class Connector:
    """Opens connections to one server. `server` is its URL, for messages."""

    server: str
    address: Address
    section: SyslogSection
    has_tls: bool
    clock: Clock
    resolve: Resolve = resolve
    _timeout_hint: str = field(default="", init=False)

    async def connect(self) -> StreamSocket:
        """Raises: TransientSinkError."""
        timeout_s = self.section.connect_timeout_s
        with anyio.move_on_after(timeout_s):
            try:
                return await self._open_stream()
            except OSError as error:
                raise failure(self.server, error) from error
        raise TransientSinkError(
            f"{self.server}: no answer within {timeout_s:g} s", hint=self._timeout_hint
        )

    async def _open_stream(self) -> StreamSocket:
        connected = await self._connect()
        try:
            if self.has_tls:
                connected = await self._add_tls(connected)
            stream = StreamSocket(connected, server=self.server, clock=self.clock)
            if isinstance(connected, ssl.SSLSocket) and connected.version() == "TLSv1.3":
                with anyio.move_on_after(_ALERT_WAIT_S):
                    await anyio.wait_readable(connected)
                stream.read_available()
        except BaseException:
            connected.close()
            raise
        return stream

    async def _connect(self) -> socket.socket:
        self._timeout_hint = "is the name server reachable?"
        endpoints = await self.resolve(self.address, socket.SOCK_STREAM)
        self._timeout_hint = "is the host up, and does a firewall let us through?"
        failed: OSError | None = None
        end_s = anyio.current_time() + self.section.connect_timeout_s
        for number, (family, endpoint) in enumerate(endpoints):
            # An address that never answers leaves time for the others, and for TLS.
            left_s = max(0.0, end_s - anyio.current_time())
            share_s = left_s / (len(endpoints) - number + 1)
            is_last = number == len(endpoints) - 1
            with anyio.move_on_after(None if is_last else share_s):
                try:
                    with nonblocking_socket(family, socket.SOCK_STREAM) as connecting:
                        self._set_options(connecting)
                        await finish_connecting(connecting, endpoint)
                        return connecting
                except OSError as error:
                    failed = error
        if failed is None:
            raise unresolved(self.server, None)
        raise failed

    def _set_options(self, connecting: socket.socket) -> None:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, seconds in _KEEPALIVE.items():
            if hasattr(socket, name):
                connecting.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Linux also counts the time in which a live server does not read, so this must
            # not be shorter than `ack_timeout_s`.
            timeout_ms = round(1000 * max(_MIN_USER_TIMEOUT_S, self.section.ack_timeout_s))
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)

    async def _add_tls(self, connected: socket.socket) -> ssl.SSLSocket:
        self._timeout_hint = "does the server speak TLS on that port?"
        context = await to_thread.run_sync(
            partial(_context_for, self.section, server=self.server),
            abandon_on_cancel=True,  # a file system that hangs must not delay shutdown
        )
        try:
            return await self._handshake(connected, context)
        except ssl.SSLCertVerificationError as error:
            if error.verify_code not in WRONG_NAME:
                raise
            names = await self._certificate_names(context)
            raise wrong_name(self.server, wanted=self._server_name, names=names) from error

    @property
    def _server_name(self) -> str:
        return self.section.tls_server_name or self.address.host

    async def _handshake(self, connected: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """TLS over `connected`, which the result then owns. Raises: OSError, also SSLError."""
        try:
            tls = context.wrap_socket(
                connected, server_hostname=self._server_name, do_handshake_on_connect=False
            )
        except ValueError as error:
            raise TransientSinkError(
                f"{self.server}: {self._server_name} is not a valid host name for TLS",
                hint="see tls_server_name",
            ) from error
        try:
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    await anyio.wait_readable(tls)
                except ssl.SSLWantWriteError:
                    await anyio.wait_writable(tls)
                else:
                    return tls
        except BaseException:
            tls.close()
            raise

    async def _certificate_names(self, context: ssl.SSLContext) -> tuple[str, ...]:
        """The names in the server's certificate, over a second connection that sends nothing.

        Python reports the names of a certificate only after it has accepted the certificate.
        """
        context.check_hostname = False  # the authority is still checked
        try:
            tls = await self._handshake(await self._connect(), context)
        except (OSError, TransientSinkError):
            return ()
        certificate: dict[str, Any] = dict(tls.getpeercert() or {})
        tls.close()
        return tuple(name for _, name in certificate.get("subjectAltName", ()))


def _context_for(section: SyslogSection, *, server: str) -> ssl.SSLContext:
    """Read all files again for each connection: certificates are renewed in place.

    `tls_ca_file`, where it is set, replaces the machine's authorities.

    Raises:
        TransientSinkError: A file cannot be used. The next attempt may find it.
    """
    files, required = f"tls_ca_file {section.tls_ca_file}", "an authority's certificate"
    try:
        context = client_context(section.tls_ca_file)
        if (certificate := section.tls_cert_file) is not None:
            key = section.tls_key_file or certificate
            files = f"tls_cert_file {certificate} and tls_key_file {key}"
            required = "a certificate and its own key, without a passphrase"
            load_client_certificate(context, certificate, key)
    except OSError as error:
        raise TransientSinkError(
            f"{server}: cannot use {files}: {error_reason(error)}",
            hint=f"required, in PEM: {required}",
        ) from error
    context.options |= ssl.OP_NO_RENEGOTIATION  # a write that must read first could block forever
    if section.tls_dangerously_accept_any_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def finish_connecting(connecting: socket.socket, endpoint: SocketAddress) -> None:
    """Raises: OSError."""
    code = connecting.connect_ex(endpoint)
    if code == errno.EINPROGRESS:
        await anyio.wait_writable(connecting)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not code and _is_connected_to_itself(connecting):
        code = errno.ECONNREFUSED
    if code:
        raise OSError(code, os.strerror(code))


def _is_connected_to_itself(connected: socket.socket) -> bool:
    """Whether the socket's own port is, by chance, the port on which no process listens.

    For a connection to the same machine the system may assign that port to the socket. TCP
    then connects the socket with itself, and every byte would count as acknowledged.
    """
    with suppress(OSError):  # reset meanwhile, so another process was connected
        return bool(connected.getsockname() == connected.getpeername())
    return False
