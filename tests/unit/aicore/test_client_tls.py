import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import trustme
from aiohttp import web
from support.fake_service import FakeService, calling

from tailer.aicore.connect import ClientSettings
from tailer.aicore.credentials import CertificateFiles, CertificateText, Credentials
from tailer.aicore.secret import Secret
from tailer.aicore.transport import UntrustedServerError
from tailer.errors import AuthError, ConfigError, UnreachableError


class Authority:
    """One for the servers and one for the clients, as with the real service."""

    def __init__(self, directory: Path) -> None:
        self.servers = trustme.CA()
        self.clients = trustme.CA()
        self.client = self.clients.issue_cert("sb-client")
        self.ca_file = directory / "ca.pem"
        self.servers.cert_pem.write_to_path(self.ca_file)
        self.settings = ClientSettings(ca_file=self.ca_file)

    @property
    def certificate(self) -> str:
        return "".join(blob.bytes().decode() for blob in self.client.cert_chain_pems)

    @property
    def key(self) -> str:
        return self.client.private_key_pem.bytes().decode()

    def server_context(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.servers.issue_cert("localhost").configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self.clients.configure_trust(context)
        return context


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def over_tls(service: FakeService, context: ssl.SSLContext) -> AsyncIterator[str]:
    """The same service again, on another port."""
    app = web.Application()
    app.router.add_post("/oauth/token", service.grant)
    app.router.add_get("/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def with_certificate(
    service: FakeService, url: str, proof: CertificateText | CertificateFiles
) -> Credentials:
    return replace(service.credentials(token_url=f"{url}/oauth/token"), proof=proof)


async def test_a_service_of_a_known_authority_is_trusted(
    service: FakeService, authority: Authority
) -> None:
    async with (
        over_tls(service, authority.server_context()) as url,
        calling(
            service.credentials(api_url=f"{url}/v2", token_url=f"{url}/oauth/token"),
            settings=authority.settings,
        ) as caller,
    ):
        await caller.logs()

    assert len(service.asked) == 1


async def test_a_service_of_an_unknown_authority_is_refused_at_once(
    service: FakeService, authority: Authority
) -> None:
    async with (
        over_tls(service, authority.server_context()) as url,
        calling(service.credentials(token_url=f"{url}/oauth/token")) as caller,
    ):
        with pytest.raises(UntrustedServerError, match=r"cannot be trusted: .*issuer") as refused:
            await caller.logs()

    assert caller.troubles.errors == []
    assert refused.value.exit_code == 3
    assert service.token_requests == []


async def test_a_service_under_another_name_is_refused(
    service: FakeService, authority: Authority
) -> None:
    async with over_tls(service, authority.server_context()) as url:
        elsewhere = url.replace("localhost", "127.0.0.1")
        credentials = service.credentials(token_url=f"{elsewhere}/oauth/token")
        async with calling(credentials, settings=authority.settings) as caller:
            with pytest.raises(UntrustedServerError, match="cannot be trusted"):
                await caller.logs()


async def test_a_plain_port_spoken_to_with_tls_is_unreachable(service: FakeService) -> None:
    url = service.url.replace("http://", "https://")
    async with calling(service.credentials(token_url=f"{url}/oauth/token")) as caller:
        with pytest.raises(UnreachableError, match="no TLS connection"):
            await caller.logs()


async def test_a_certificate_in_the_key_is_presented_to_the_token_endpoint(
    service: FakeService, authority: Authority
) -> None:
    proof = CertificateText(authority.certificate, Secret(authority.key))
    before = open_files()
    async with (
        over_tls(service, authority.server_context(wants_certificate=True)) as url,
        calling(with_certificate(service, url, proof), settings=authority.settings) as caller,
    ):
        await caller.logs()

    (asked,) = service.token_requests
    assert asked.body == "grant_type=client_credentials&client_id=sb-x%21b1%7Caicore%21b2"
    assert service.asked[0].headers["Authorization"] == "Bearer token-1"
    assert open_files() <= before


async def test_a_certificate_in_files_is_read_again_for_each_token(
    service: FakeService, authority: Authority, tmp_path: Path
) -> None:
    proof = CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    proof.certificate.write_text("expired")
    proof.key.write_text("expired")
    async with (
        over_tls(service, authority.server_context(wants_certificate=True)) as url,
        calling(with_certificate(service, url, proof), settings=authority.settings) as caller,
    ):
        with pytest.raises(AuthError, match="client certificate and key"):
            await caller.logs()
        proof.certificate.write_text(authority.certificate)
        proof.key.write_text(authority.key)
        await caller.logs()

    assert len(service.token_requests) == 1


def of_a_stranger() -> CertificateText:
    stranger = trustme.CA().issue_cert("stranger")
    return CertificateText(
        stranger.cert_chain_pems[0].bytes().decode(),
        Secret(stranger.private_key_pem.bytes().decode()),
    )


@contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[str]:
    """A TLS server that sends its alert before it closes, which asyncio's servers do not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands_once() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=shake_hands_once)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.real_time  # a thread has no part in virtual time
async def test_a_certificate_unknown_to_the_endpoint_is_a_credentials_error(
    service: FakeService, authority: Authority
) -> None:
    context = authority.server_context(wants_certificate=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with strict_server(context) as url:
        credentials = with_certificate(service, url, of_a_stranger())
        async with calling(credentials, settings=authority.settings) as caller:
            with pytest.raises(AuthError, match=r"refuses our certificate: .*UNKNOWN_CA"):
                await caller.logs()


async def test_a_connection_closed_after_the_client_certificate_is_retried_with_a_hint(
    service: FakeService, authority: Authority
) -> None:
    """With TLS 1.3 it judges after the handshake, and its alert gets lost in a reset."""
    async with (
        over_tls(service, authority.server_context(wants_certificate=True)) as url,
        calling(
            with_certificate(service, url, of_a_stranger()), settings=authority.settings
        ) as caller,
    ):
        with anyio.move_on_after(3):
            await caller.logs()

    assert "client certificate" in caller.troubles.errors[0].hint


async def test_a_missing_certificate_file_is_named(service: FakeService, tmp_path: Path) -> None:
    proof = CertificateFiles(tmp_path / "absent.crt", tmp_path / "absent.key")
    async with calling(with_certificate(service, service.url, proof)) as caller:
        with pytest.raises(AuthError, match=r"absent\.\w+: No such file"):
            await caller.logs()


async def test_a_key_of_another_certificate_is_reported_without_its_content(
    service: FakeService, authority: Authority
) -> None:
    other = authority.clients.issue_cert("other").private_key_pem.bytes().decode()
    proof = CertificateText(authority.certificate, Secret(other))
    async with calling(with_certificate(service, service.url, proof)) as caller:
        with pytest.raises(AuthError, match="key values mismatch") as refused:
            await caller.logs()

    assert "PRIVATE KEY" not in str(refused.value)


async def test_an_unusable_ca_file_is_a_mistake_in_the_configuration(
    service: FakeService, tmp_path: Path
) -> None:
    settings = ClientSettings(ca_file=tmp_path / "absent.pem")

    with pytest.raises(ConfigError, match=r"CA file .*absent\.pem"):
        await calling(service.credentials(), settings=settings).__aenter__()
