"""TLS authentication between the syslog sink and real receivers, in both directions."""

from dataclasses import replace

import anyio
import pytest
from support.receivers.certificates import Certificates, KeyPair
from support.receivers.hostile import HostileLine, hostile_batches, hostile_lines
from support.receivers.receiver import PATIENCE_S, Receiver
from support.receivers.sinking import section_for, sending
from support.receivers.ways import RSYSLOG, SYSLOG_NG

from tailer.config import SyslogSection
from tailer.errors import TransientSinkError
from tailer.model import Entry

pytestmark = pytest.mark.real_time  # other processes have no part in virtual time

WAYS = RSYSLOG | SYSLOG_NG
ENCRYPTED = [
    ("rsyslog", "tls-ossl"),
    ("rsyslog", "tls-gtls"),
    ("rsyslog", "mtls"),
    ("rsyslog", "relp+tls"),
    ("syslog-ng", "tls"),
    ("syslog-ng", "mtls"),
]
MUTUAL = [(name, way) for name, way in ENCRYPTED if WAYS[way].asks_for_certificate]
BY_NAME = [(name, way) for name, way in MUTUAL if name == "rsyslog"]
LINE = replace(hostile_lines(1)[0], entry=Entry(msg="hello"))
# With TLS 1.3 a server judges our certificate after it has taken what we sent, in its own time;
# without RELP, only a sender that waits for the alert learns of the rejection.
UNTIL_JUDGED_S = PATIENCE_S


def on(ways: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("receiver", "way"), ways, indirect=["receiver"])


def with_client(section: SyslogSection, client: KeyPair | None) -> SyslogSection:
    return replace(
        section,
        tls_cert_file=client.cert_file if client else None,
        tls_key_file=client.key_file if client else None,
    )


async def write(section: SyslogSection, line: HostileLine = LINE) -> None:
    with anyio.fail_after(PATIENCE_S):
        async with sending(section) as sink:
            await sink.write(list(hostile_batches([line])))


async def refusal(section: SyslogSection) -> str:
    with pytest.raises(TransientSinkError) as refused:
        await write(section)
    return str(refused.value)


def received_after_stop(receiver: Receiver, way: str) -> list[str]:
    """Whatever came is written by then."""
    receiver.stop()
    return [one.msg for one in receiver.received(way)]


@on(ENCRYPTED)
async def test_with_the_right_certificates_a_line_arrives(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates)
    await write(replace(section, tls_server_name="localhost"))

    assert [one.msg for one in receiver.wait_for(way, 1)] == ["hello"]


@on(ENCRYPTED)
async def test_a_server_of_an_unknown_authority_gets_nothing(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates)
    output = await refusal(replace(section, tls_ca_file=certificates.strange_ca_file))

    assert "\n" not in output
    assert "certificate" in output
    assert received_after_stop(receiver, way) == []


@on(ENCRYPTED)
async def test_a_server_under_another_name_gets_nothing(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates)
    output = await refusal(replace(section, tls_server_name="other.example.com"))

    assert "\n" not in output
    assert "other.example.com" in output
    assert received_after_stop(receiver, way) == []


@on(MUTUAL)
async def test_a_sender_without_a_certificate_is_rejected_with_an_error(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates, ack_hold_s=UNTIL_JUDGED_S)
    output = await refusal(with_client(section, None))

    assert "\n" not in output
    assert received_after_stop(receiver, way) == []


@on(MUTUAL)
async def test_a_sender_with_an_untrusted_certificate_is_rejected_with_an_error(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates, ack_hold_s=UNTIL_JUDGED_S)
    output = await refusal(with_client(section, certificates.strange_client))

    assert "\n" not in output
    assert received_after_stop(receiver, way) == []


@on(BY_NAME)
async def test_a_sender_with_another_name_is_rejected_with_an_error(
    receiver: Receiver, way: str, certificates: Certificates
) -> None:
    section = section_for(WAYS[way], receiver.urls[way], certificates, ack_hold_s=UNTIL_JUDGED_S)
    output = await refusal(with_client(section, certificates.unnamed_client))

    assert "\n" not in output
    assert received_after_stop(receiver, way) == []
