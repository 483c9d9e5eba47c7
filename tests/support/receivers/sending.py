"""Frames sent by hand, so that what a receiver does is known apart from what we send it."""

import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from support.receivers.ways import Way

_PATIENCE_S = 30.0
_WINDOW = 128


def send(way: Way, url: str, messages: Sequence[bytes], *, tls: ssl.SSLContext) -> None:
    match way.scheme:
        case "udp" | "unix" if not way.is_stream:
            send_datagrams(url, messages)
        case "relp" | "relp+tls":
            taken = send_relp(url, messages, tls=tls if way.is_encrypted else None)
            assert taken == len(messages)
        case _:
            framed = lines(messages) if way.framing == "lf" else octet_counted(messages)
            send_stream(url, framed, tls=tls if way.is_encrypted else None)


def octet_counted(messages: Iterable[bytes]) -> bytes:
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


def lines(messages: Iterable[bytes]) -> bytes:
    return b"".join(message + b"\n" for message in messages)


def send_stream(url: str, framed: bytes, *, tls: ssl.SSLContext | None = None) -> None:
    with _connection(url, tls) as stream:
        stream.sendall(framed)
        if isinstance(stream, ssl.SSLSocket):
            with suppress(ssl.SSLEOFError):  # gtls takes our farewell and says none
                stream.unwrap()


def send_datagrams(url: str, messages: Iterable[bytes]) -> None:
    address = urlsplit(url)
    is_unix = address.scheme == "unix"
    family = socket.AF_UNIX if is_unix else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect(address.path if is_unix else (address.hostname, address.port))
        for message in messages:
            sender.send(message)


def send_relp(url: str, messages: Sequence[bytes], *, tls: ssl.SSLContext | None = None) -> int:
    """How many were acknowledged."""
    offer = b"relp_version=0\nrelp_software=test,1,https://example.com\ncommands=syslog"
    with _connection(url, tls) as stream, stream.makefile("rb") as answers:

        def command(number: int, name: bytes, content: bytes = b"") -> None:
            space = b" " if content else b""
            stream.sendall(b"%d %s %d%s%s\n" % (number, name, len(content), space, content))

        def answer() -> bytes:
            head = b""
            while head.count(b" ") < 3 and not head.endswith(b"\n"):
                piece = answers.read(1)
                assert piece, f"hung up after {head!r}"
                head += piece
            size = int(head.split()[2])
            return answers.read(size + 1)[:size] if size else b""

        command(1, b"open", offer)
        assert answer().startswith(b"200")
        acknowledged = 0
        for first in range(0, len(messages), _WINDOW):
            window = messages[first : first + _WINDOW]
            for number, message in enumerate(window, start=2 + first):
                command(number, b"syslog", message)
            acknowledged += sum(answer().startswith(b"200") for _ in window)
        command(len(messages) + 2, b"close")
        answers.read()  # it answers and hangs up
        return acknowledged


def _connection(url: str, tls: ssl.SSLContext | None) -> socket.socket:
    address = urlsplit(url)
    if address.scheme == "unix":
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(_PATIENCE_S)
        stream.connect(address.path)
        return stream
    assert address.hostname
    assert address.port
    plain = socket.create_connection((address.hostname, address.port), timeout=_PATIENCE_S)
    return tls.wrap_socket(plain, server_hostname=address.hostname) if tls else plain
