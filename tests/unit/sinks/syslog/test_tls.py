import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from support.syslog.fake_servers import (
    Keeper,
    RelpServer,
    deaf_server,
    reset,
    serving,
    transport_to,
)

from tailer.errors import TransientSinkError
from tailer.sinks.syslog.transport import UnconfirmedMessages

MESSAGES = [b"one", b"two\nlines", b"three"]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


class Authority:
    """For servers and for clients, with its certificate in a file."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.ca_file = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca_file)

    def server(
        self,
        *names: str,
        expires: dt.datetime | None = None,
        wants_certificate: bool = False,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.maximum_version = version
        issued = self._authority.issue_cert(*(names or ("127.0.0.1",)), not_after=expires)
        issued.configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context

    def client(self, name: str = "client") -> dict[str, Any]:
        issued = self._authority.issue_cert(f"{name}.example")
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return {"tls_cert_file": certificate, "tls_key_file": key}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    (tmp_path / "stranger").mkdir()
    return Authority(tmp_path / "stranger")


async def refusal(context: ssl.SSLContext, **settings: Any) -> str:
    """Why no connection came about; nothing may have been sent."""
    server = Keeper()
    async with serving(server, context=context) as port:
        with pytest.raises(TransientSinkError) as refused:
            await transport_to(f"tls://127.0.0.1:{port}", **settings).connect()
    assert server.messages == []
    assert str(refused.value).startswith(f"tls://127.0.0.1:{port}: ")
    return str(refused.value).partition(f":{port}: ")[2]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_messages_arrive_whole_and_tls_is_closed_properly(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    server, unconfirmed = Keeper(), UnconfirmedMessages([*MESSAGES, b"x" * 300_000])
    async with serving(server, context=authority.server(version=version)) as port:
        connection = await transport_to(
            f"tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file
        ).connect()
        await connection.send(unconfirmed)
        is_open = await connection.is_open()
        await connection.aclose()

    assert not unconfirmed
    assert is_open
    assert server.messages == [*MESSAGES, b"x" * 300_000]
    assert server.endings == ["in good order"]  # without close_notify it would be broken


async def test_relp_works_over_tls(authority: Authority) -> None:
    server = RelpServer()
    async with serving(server, context=authority.server()) as port:
        connection = await transport_to(
            f"relp+tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file
        ).connect()
        await connection.send(UnconfirmedMessages(MESSAGES))
        await connection.aclose()

    assert server.taken == MESSAGES
    assert server.closed == 1


async def test_the_certificate_of_an_unknown_authority_is_refused(
    authority: Authority, stranger: Authority
) -> None:
    output = await refusal(authority.server(), tls_ca_file=stranger.ca_file)

    assert output == (
        "the server's certificate is signed by an authority that is not trusted here "
        "(set tls_ca_file to the certificate of that authority)"
    )


async def test_a_wrong_name_is_reported_with_the_names_in_the_certificate(
    authority: Authority,
) -> None:
    output = await refusal(
        authority.server("logs.example", "logs2.example"), tls_ca_file=authority.ca_file
    )

    assert output.startswith(
        "the server's certificate is not for 127.0.0.1: it is for logs.example, logs2.example "
    )


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    output = await refusal(authority.server(expires=LONG_AGO), tls_ca_file=authority.ca_file)

    assert output.startswith("the server's certificate has expired (")


async def test_the_name_in_the_certificate_can_be_another_than_that_of_the_url(
    authority: Authority,
) -> None:
    server = Keeper()
    async with serving(server, context=authority.server("logs.example")) as port:
        connection = await transport_to(
            f"tls://127.0.0.1:{port}",
            tls_ca_file=authority.ca_file,
            tls_server_name="logs.example",
        ).connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert server.messages == [b"one"]


async def test_any_certificate_is_accepted_where_configured(stranger: Authority) -> None:
    server = Keeper()
    async with serving(server, context=stranger.server("elsewhere.example")) as port:
        connection = await transport_to(
            f"tls://127.0.0.1:{port}", tls_dangerously_accept_any_certificate=True
        ).connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert server.messages == [b"one"]


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
async def test_the_client_certificate_is_presented_on_request(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    server = Keeper()
    context = authority.server(wants_certificate=True, version=version)
    async with serving(server, context=context) as port:
        connection = await transport_to(
            f"tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file, **authority.client()
        ).connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert server.messages == [b"one"]


@contextmanager
def choosy_server(context: ssl.SSLContext) -> Iterator[int]:
    """In a thread, because OpenSSL's own sockets say why they refuse a client."""

    def judge(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with accepted, suppress(OSError), context.wrap_socket(accepted, server_side=True) as tls:
            tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        judging = threading.Thread(target=judge, args=(listening,))
        judging.start()
        yield listening.getsockname()[1]
        judging.join()


@VERSIONS
@pytest.mark.real_time  # for a thread
async def test_a_missing_client_certificate_is_noticed_before_the_first_send(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.server(wants_certificate=True, version=version)
    with choosy_server(context) as port, pytest.raises(TransientSinkError) as refused:
        await transport_to(f"tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file).connect()

    assert refused.value.hint == "set tls_cert_file and tls_key_file to what it accepts"


@VERSIONS
@pytest.mark.real_time  # for a thread
async def test_an_untrusted_client_certificate_is_noticed_before_the_first_send(
    authority: Authority, stranger: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.server(wants_certificate=True, version=version)
    with choosy_server(context) as port, pytest.raises(TransientSinkError) as refused:
        await transport_to(
            f"tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file, **stranger.client()
        ).connect()

    assert "the server does not know our certificate's authority" in str(refused.value)


async def test_a_port_without_tls_is_recognized_when_it_answers() -> None:
    async with serving(lambda stream: stream.send(b"220 mail.example\r\n" * 9)) as port:
        with pytest.raises(TransientSinkError, match="does not speak TLS on that port"):
            await transport_to(f"tls://127.0.0.1:{port}").connect()


async def test_a_port_without_tls_is_suspected_when_it_closes() -> None:
    async def read_and_close(stream: ByteStream) -> None:
        await stream.receive()

    async with serving(read_and_close) as port:
        with pytest.raises(TransientSinkError, match="does it speak TLS there"):
            await transport_to(f"tls://127.0.0.1:{port}").connect()


async def test_a_port_without_tls_is_suspected_when_it_is_silent() -> None:
    with deaf_server() as server:
        url = f"tls://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            TransientSinkError, match=r"within 3 s \(does the server speak TLS on that"
        ):
            await transport_to(url, connect_timeout_s=3.0).connect()


async def test_a_reset_while_idle_is_noticed_before_the_next_write(authority: Authority) -> None:
    async def leave(stream: ByteStream) -> None:
        await anyio.sleep(1)  # noqa: TID251 - of virtual time
        await reset(stream)

    async with serving(leave, context=authority.server()) as port:
        connection = await transport_to(
            f"tls://127.0.0.1:{port}", tls_ca_file=authority.ca_file
        ).connect()
        was_open = await connection.is_open()
        await anyio.sleep(2)  # noqa: TID251 - of virtual time
        is_open = await connection.is_open()
        await connection.aclose()

    assert was_open
    assert not is_open


async def test_files_are_read_again_for_each_connection(authority: Authority) -> None:
    server, late = Keeper(), authority.ca_file.with_name("late.pem")
    async with serving(server, context=authority.server()) as port:
        transport = transport_to(f"tls://127.0.0.1:{port}", tls_ca_file=late)
        with pytest.raises(TransientSinkError) as missing:
            await transport.connect()
        late.write_bytes(authority.ca_file.read_bytes())
        connection = await transport.connect()
        await connection.send(UnconfirmedMessages([b"one"]))
        await connection.aclose()

    assert f"cannot use tls_ca_file {late}: No such file" in str(missing.value)
    assert server.messages == [b"one"]


@pytest.mark.parametrize("name", ["tls_ca_file", "tls_cert_file", "tls_key_file"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n"])
async def test_a_file_that_cannot_be_used_is_named_and_never_quoted(
    authority: Authority, tmp_path: Path, name: str, content: bytes | None
) -> None:
    files: dict[str, Any] = {"tls_ca_file": authority.ca_file, **authority.client()}
    files[name] = tmp_path / "odd.pem"
    if content is not None:
        files[name].write_bytes(content)

    output = await refusal(authority.server(), **files)

    assert "cannot use tls_" in output
    assert "required, in PEM" in output
    assert "c2Vjc" not in output
