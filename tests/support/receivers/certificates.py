"""Certificates for receivers and senders, and some that must be rejected."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import trustme

CLIENT_NAME = "tailer.example.com"


@dataclass(frozen=True, slots=True)
class KeyPair:
    cert_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """One authority for both sides. The strange certificates have an untrusted authority."""

    ca_file: Path
    server: KeyPair  # localhost and 127.0.0.1
    client: KeyPair  # CLIENT_NAME
    unnamed_client: KeyPair  # signed by the same authority, but for another name
    strange_ca_file: Path
    strange_client: KeyPair

    def trusted_by(self, client: KeyPair | None = None) -> ssl.SSLContext:
        """What a sender needs that trusts the authority and shows that certificate."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if client is not None:
            context.load_cert_chain(client.cert_file, client.key_file)
        return context


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True)
    authority, stranger = trustme.CA(), trustme.CA()
    ca_file, strange_ca_file = folder / "ca.pem", folder / "strange-ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    stranger.cert_pem.write_to_path(strange_ca_file)

    def issue(by: trustme.CA, name: str, identities: Iterable[str]) -> KeyPair:
        made = by.issue_cert(*identities)
        pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.key")
        pair.cert_file.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(pair.key_file)
        return pair

    return Certificates(
        ca_file=ca_file,
        server=issue(authority, "server", ["localhost", "127.0.0.1"]),
        client=issue(authority, "client", [CLIENT_NAME]),
        unnamed_client=issue(authority, "unnamed-client", ["other.example.com"]),
        strange_ca_file=strange_ca_file,
        strange_client=issue(stranger, "strange-client", [CLIENT_NAME]),
    )
