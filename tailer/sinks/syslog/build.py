"""Settings -> transports and formatter.

From a batch to syslog messages: which format is meant.

From a sink's settings to the sink: which transport, and what its receivers can take.
"""

from collections.abc import Callable
from datetime import tzinfo
from typing import Final, TypeAlias, assert_never
from urllib.parse import urlsplit

import structlog

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.model import Batch, GapReason, Target
from tailer.sinks.syslog.connect import Address, Connector, Resolve, resolve
from tailer.sinks.syslog.datagram import UdpTransport
from tailer.sinks.syslog.relp import RelpTransport
from tailer.sinks.syslog.relp_frames import MAX_DATA_BYTES
from tailer.sinks.syslog.rfc3164 import Rfc3164Formatter
from tailer.sinks.syslog.rfc5424 import Rfc5424Formatter
from tailer.sinks.syslog.sink import SyslogSink
from tailer.sinks.syslog.stream import lf_ended, octet_counted
from tailer.sinks.syslog.tcp import TcpTransport
from tailer.sinks.syslog.transport import Transport
from tailer.sinks.syslog.unix import UnixTransport

SyslogFormatter: TypeAlias = Callable[[Batch], list[bytes]]
"""Whole messages without framing, in order. An oversize line may be several."""


def build_format(
    section: SyslogSection,
    *,
    max_bytes: int,
    may_hold_newlines: bool,
    scenario_of: Callable[[Target], str],
    timezone: tzinfo | None = None,
) -> SyslogFormatter:
    """The formatter asked for; every sink has its own, because it remembers names.

    No message is longer than `max_bytes`, which is 480 or more. `may_hold_newlines` is
    False where a newline ends a message. `scenario_of` is empty for a target that is not
    known yet. `timezone` None is the machine's own; only RFC 3164 has local times.
    """
    match section.format:
        case "rfc5424":
            return Rfc5424Formatter(
                section,
                max_bytes=max_bytes,
                may_hold_newlines=may_hold_newlines,
                scenario_of=scenario_of,
            )
        case "rfc3164":
            return Rfc3164Formatter(
                section,
                max_bytes=max_bytes,
                may_hold_newlines=may_hold_newlines,
                scenario_of=scenario_of,
                timezone=timezone,
            )
        case _:
            assert_never(section.format)


log = structlog.get_logger()

_PLAIN_PORT: Final = 514  # RFC 5426; plain TCP and RELP have none of their own
_TLS_PORT: Final = 6514  # RFC 5425
_WITH_TLS: Final = frozenset({"tls", "relp+tls"})

_USUAL_BYTES: Final = 8096  # rsyslog's "8k"; what is longer it cuts, or takes for two messages
_USUAL_BYTES_UDP: Final = 2048  # RFC 5426, 3.2: receivers should take that much
_USUAL_BYTES_RFC3164: Final = 1024  # RFC 3164, 4.1
_MOST_BYTES: Final = {"udp": 65_507, "relp": MAX_DATA_BYTES, "relp+tls": MAX_DATA_BYTES}


def build_syslog_sink(
    section: SyslogSection,
    *,
    name: str,
    clock: Clock,
    scenario_of: Callable[[Target], str],
    on_gap: Callable[[str, GapReason, str], None],
    resolve: Resolve = resolve,
) -> SyslogSink:
    """Opens nothing. `on_gap` is told of messages that were given up, see SyslogSink."""
    if section.tls_dangerously_accept_any_certificate:
        log.warning("tls_verification_disabled", sink=name)
    to_messages = build_format(
        section,
        max_bytes=max_bytes(section),
        may_hold_newlines=may_hold_newlines(section),
        scenario_of=scenario_of,
    )
    transports = [
        build_transport(section, url, clock=clock, resolve=resolve) for url in section.url
    ]
    return SyslogSink(transports, to_messages, name=name, on_gap=on_gap)


def build_transport(
    section: SyslogSection, url: str, *, clock: Clock, resolve: Resolve = resolve
) -> Transport:
    """For one of the section's urls."""
    parts = urlsplit(url)
    has_lf = section.framing == "lf" or (section.framing == "auto" and parts.scheme == "unix")
    framed = lf_ended if has_lf else octet_counted
    if parts.scheme == "unix":
        return UnixTransport(
            parts.path,
            framed=framed,
            hold_s=section.ack_hold_s,
            connect_timeout_s=section.connect_timeout_s,
            ack_timeout_s=section.ack_timeout_s,
            clock=clock,
        )
    address = Address(
        parts.hostname or "",
        parts.port or (_TLS_PORT if parts.scheme in _WITH_TLS else _PLAIN_PORT),
    )
    host = f"[{address.host}]" if ":" in address.host else address.host
    server = f"{parts.scheme}://{host}:{address.port}"  # of a user and a password, nothing
    if parts.scheme == "udp":
        return UdpTransport(
            server,
            address,
            datagrams_per_s=section.datagrams_per_s,
            connect_timeout_s=section.connect_timeout_s,
            ack_timeout_s=section.ack_timeout_s,
            clock=clock,
            resolve=resolve,
        )
    connector = Connector(
        server,
        address,
        clock=clock,
        connect_timeout_s=section.connect_timeout_s,
        ack_timeout_s=section.ack_timeout_s,
        tls=section if parts.scheme in _WITH_TLS else None,
        resolve=resolve,
    )
    if parts.scheme.startswith("relp"):
        return RelpTransport(
            connector,
            window=section.relp_window,
            connect_timeout_s=section.connect_timeout_s,
            ack_timeout_s=section.ack_timeout_s,
        )
    return TcpTransport(
        connector,
        framed=framed,
        hold_s=section.ack_hold_s,
        ack_timeout_s=section.ack_timeout_s,
        clock=clock,
    )


def max_bytes(section: SyslogSection) -> int:
    """Of a message, so that each of the section's servers takes it whole."""
    return min(_max_bytes_for(section, urlsplit(url).scheme) for url in section.url)


def _max_bytes_for(section: SyslogSection, scheme: str) -> int:
    usual = _USUAL_BYTES_UDP if scheme == "udp" else _USUAL_BYTES
    if section.format == "rfc3164":
        usual = _USUAL_BYTES_RFC3164
    wanted = section.max_message_bytes or usual
    return min(wanted, _MOST_BYTES.get(scheme, wanted))


def may_hold_newlines(section: SyslogSection) -> bool:
    """Only where a length says how long a message is, for every server.

    A datagram has a length too, but its receivers may pass it on where a newline ends it.
    """
    schemes = {urlsplit(url).scheme for url in section.url}
    counted = section.framing != "lf"
    return all(
        scheme.startswith("relp") or (scheme in {"tcp", "tls"} and counted) for scheme in schemes
    )
