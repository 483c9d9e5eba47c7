"""Build a syslog sink from its settings: transports, formatter and message limits."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import structlog

from tailer.clock import Clock
from tailer.config.settings import SyslogSection
from tailer.model import Batch, GapReason, Target
from tailer.sinks.syslog.connect import Address, Connector, Resolve, resolve
from tailer.sinks.syslog.datagram import DatagramPacer, UdpTransport
from tailer.sinks.syslog.fields import MessageLimits
from tailer.sinks.syslog.relp import RelpTransport
from tailer.sinks.syslog.relp_frames import MAX_DATA_BYTES
from tailer.sinks.syslog.rfc3164 import Rfc3164Formatter
from tailer.sinks.syslog.rfc5424 import Rfc5424Formatter
from tailer.sinks.syslog.sink import SyslogSink
from tailer.sinks.syslog.stream import lf_ended, octet_counted
from tailer.sinks.syslog.tcp import TcpTransport
from tailer.sinks.syslog.transport import Transport
from tailer.sinks.syslog.unix import UnixTransport

log = structlog.get_logger()

SyslogFormatter: TypeAlias = Callable[[Batch], list[bytes]]
"""Complete messages without framing, in order. An oversize line may become several."""

_PLAIN_PORT: Final = 514  # RFC 5426; plain TCP and RELP have no port of their own
_TLS_PORT: Final = 6514  # RFC 5425
_TLS_SCHEMES: Final = frozenset({"tls", "relp+tls"})

_DEFAULT_BYTES: Final = 8096  # rsyslog's "8k"; it truncates or splits longer messages
_DEFAULT_BYTES_UDP: Final = 2048  # RFC 5426, 3.2: receivers should accept that much
_DEFAULT_BYTES_RFC3164: Final = 1024  # RFC 3164, 4.1
_LIMIT_BYTES: Final = {"udp": 65_507, "relp": MAX_DATA_BYTES, "relp+tls": MAX_DATA_BYTES}


def build_syslog_sink(
    section: SyslogSection,
    *,
    name: str,
    clock: Clock,
    scenario_of: Callable[[Target], str],
    on_gap: Callable[[str, GapReason, str], None],
    resolve: Resolve = resolve,
) -> SyslogSink:
    """Opens nothing. `on_gap` gets each message that the sink drops, see SyslogSink."""
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


def build_format(
    section: SyslogSection,
    *,
    max_bytes: int,
    may_hold_newlines: bool,
    scenario_of: Callable[[Target], str],
    timezone: tzinfo | None = None,
) -> SyslogFormatter:
    """A formatter for one sink only, because it caches names.

    `scenario_of` is empty for an unknown target. `timezone` None is the machine's own; only
    RFC 3164 has local times.
    """
    limits = MessageLimits(max_bytes, may_hold_newlines)
    if section.format == "rfc3164":
        return Rfc3164Formatter(section, limits, scenario_of, timezone)
    return Rfc5424Formatter(section, limits, scenario_of)


def build_transport(
    section: SyslogSection, url: str, *, clock: Clock, resolve: Resolve = resolve
) -> Transport:
    """For one of the section's urls."""
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ""
    has_lf = section.framing == "lf" or (section.framing == "auto" and scheme == "unix")
    framed = lf_ended if has_lf else octet_counted
    if scheme == "unix":
        return UnixTransport(parts.path, section, framed, clock)
    has_tls = scheme in _TLS_SCHEMES
    address = Address(host, parts.port or (_TLS_PORT if has_tls else _PLAIN_PORT))
    server_host = f"[{host}]" if ":" in host else host
    server = f"{scheme}://{server_host}:{address.port}"  # without a user and a password
    if scheme == "udp":
        pacer = DatagramPacer(section.datagrams_per_s, clock)
        return UdpTransport(server, address, section, pacer, clock, resolve)
    connector = Connector(server, address, section, has_tls=has_tls, clock=clock, resolve=resolve)
    if scheme.startswith("relp"):
        return RelpTransport(connector, section)
    return TcpTransport(connector, section, framed, clock)


def max_bytes(section: SyslogSection) -> int:
    """Size limit of a message that each of the section's servers accepts."""
    return min(_max_bytes_for(section, urlsplit(url).scheme) for url in section.url)


def _max_bytes_for(section: SyslogSection, scheme: str) -> int:
    default = _DEFAULT_BYTES_UDP if scheme == "udp" else _DEFAULT_BYTES
    if section.format == "rfc3164":
        default = _DEFAULT_BYTES_RFC3164
    wanted = section.max_message_bytes or default
    return min(wanted, _LIMIT_BYTES.get(scheme, wanted))


def may_hold_newlines(section: SyslogSection) -> bool:
    """Whether every server reads a message by its length.

    A datagram has a length too, but a receiver may forward it to where a newline ends it.
    """
    schemes = {urlsplit(url).scheme for url in section.url}
    counted = section.framing != "lf"
    return all(
        scheme.startswith("relp") or (scheme in {"tcp", "tls"} and counted) for scheme in schemes
    )
