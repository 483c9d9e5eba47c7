from typing import Any

import pytest
from structlog.testing import capture_logs
from support.virtual_time import VirtualClock

from tailer.config import SyslogSection
from tailer.sinks.syslog.build import (
    build_syslog_sink,
    build_transport,
    max_bytes,
    may_hold_newlines,
)
from tailer.sinks.syslog.datagram import UdpTransport
from tailer.sinks.syslog.relp import RelpTransport
from tailer.sinks.syslog.tcp import TcpTransport
from tailer.sinks.syslog.transport import Transport
from tailer.sinks.syslog.unix import UnixTransport


@pytest.mark.parametrize(
    ("url", "server", "kind"),
    [
        ("udp://h", "udp://h:514", UdpTransport),
        ("tcp://h", "tcp://h:514", TcpTransport),
        ("tls://h", "tls://h:6514", TcpTransport),
        ("relp://h:2514", "relp://h:2514", RelpTransport),
        ("relp+tls://h", "relp+tls://h:6514", RelpTransport),
        ("tcp://[::1]:10514", "tcp://[::1]:10514", TcpTransport),
        ("tcp://me:secret@h", "tcp://h:514", TcpTransport),
        ("unix:///dev/log", "unix:///dev/log", UnixTransport),
    ],
)
def test_a_url_selects_transport_and_address(url: str, server: str, kind: type[Transport]) -> None:
    transport = build_transport(SyslogSection(url=(url,)), url, clock=VirtualClock())

    assert (transport.server, type(transport)) == (server, kind)


@pytest.mark.parametrize(
    ("urls", "settings", "most"),
    [
        (["tcp://h"], {}, 8096),
        (["unix:///dev/log"], {}, 8096),
        (["udp://h"], {}, 2048),
        (["tcp://h", "udp://h"], {}, 2048),
        (["udp://h"], {"format": "rfc3164"}, 1024),
        (["tcp://h"], {"format": "rfc3164", "max_message_bytes": 4096}, 4096),
        (["udp://h"], {"max_message_bytes": 1_000_000}, 65_507),
        (["relp://h"], {"max_message_bytes": 1_000_000}, 131_072),
        (["tls://h"], {"max_message_bytes": 1_000_000}, 1_000_000),
    ],
)
def test_a_message_is_no_longer_than_every_server_takes(
    urls: list[str], settings: dict[str, Any], most: int
) -> None:
    assert max_bytes(SyslogSection(url=tuple(urls), **settings)) == most


@pytest.mark.parametrize(
    ("urls", "framing", "may"),
    [
        (["tcp://h"], "auto", True),
        (["tls://h"], "octet-counting", True),
        (["tcp://h"], "lf", False),
        (["relp://h", "relp+tls://h"], "auto", True),
        (["relp://h"], "lf", True),
        (["udp://h"], "auto", False),
        (["unix:///dev/log"], "octet-counting", False),
        (["tcp://h", "udp://h"], "auto", False),
    ],
)
def test_newlines_are_kept_only_with_octet_counting(
    urls: list[str], framing: Any, may: bool
) -> None:
    assert may_hold_newlines(SyslogSection(url=tuple(urls), framing=framing)) == may


def test_disabled_certificate_verification_is_logged() -> None:
    section = SyslogSection(url=("tls://h",), tls_dangerously_accept_any_certificate=True)
    with capture_logs() as logs:
        build_syslog_sink(
            section,
            name="s",
            clock=VirtualClock(),
            scenario_of=lambda _: "",
            on_gap=lambda *_: None,
        )

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("tls_verification_disabled", "warning")
    ]
