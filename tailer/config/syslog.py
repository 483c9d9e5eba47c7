"""A syslog sink: where to, what a message looks like, what counts as delivered. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from tailer.config.readers import PATH, Number, OneOrMore, Switch, choice
from tailer.config.texts import (
    ENTERPRISE_ID,
    FACILITIES,
    HEADER_TEMPLATE,
    SERVER_NAME,
    SEVERITIES,
    SYSLOG_URL,
)

_MIB: Final = 1 << 20

SyslogFormat: TypeAlias = Literal["rfc5424", "rfc3164"]
Framing: TypeAlias = Literal["auto", "octet-counting", "lf"]
SeverityFrom: TypeAlias = Literal["stream", "auto"]
Oversize: TypeAlias = Literal["truncate", "split"]
ControlCharacters: TypeAlias = Literal["escape", "octal", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSection:
    """`url` is udp:// tcp:// tls:// relp:// relp+tls:// with a host, or unix:///socket.

    Several are servers for the same lines: one that fails is left for the next. The header
    fields are templates of HEADER_FIELDS. `max_bytes` 0 is what the transport's receivers
    take by default. The `tls_` keys are for the two schemes with TLS.
    """

    url: Annotated[tuple[str, ...], OneOrMore(SYSLOG_URL)]
    format: Annotated[SyslogFormat, choice("rfc5424", "rfc3164")] = "rfc5424"
    framing: Annotated[Framing, choice("auto", "octet-counting", "lf")] = "auto"
    facility: Annotated[str, choice(*FACILITIES)] = "local0"
    severity: Annotated[SeverityFrom, choice("stream", "auto")] = "stream"
    severity_stdout: Annotated[str, choice(*SEVERITIES)] = "info"
    severity_stderr: Annotated[str, choice(*SEVERITIES)] = "warning"
    hostname: Annotated[str, HEADER_TEMPLATE] = "{pod}"
    app_name: Annotated[str, HEADER_TEMPLATE] = "{id}"
    procid: Annotated[str, HEADER_TEMPLATE] = "{container}"
    msgid: Annotated[str, HEADER_TEMPLATE] = "AICORE"
    enterprise_id: Annotated[str, ENTERPRISE_ID] = "32473"
    control_characters: Annotated[ControlCharacters, choice("escape", "octal", "keep")] = "escape"
    byte_order_mark: Annotated[bool, Switch()] = False
    max_bytes: Annotated[
        int,
        Number(
            low=480,
            why_low="RFC 5424 lets every receiver take that much",
            high=16 * _MIB,
            why_high="no receiver takes more",
            whole=True,
            zero="what receivers of that transport take",
        ),
    ] = 0
    oversize: Annotated[Oversize, choice("truncate", "split")] = "truncate"
    datagrams_per_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="no sink would keep up",
            high=1_000_000.0,
            why_high="no receiver keeps up",
            zero="no limit",
        ),
    ] = 1000.0
    relp_window: Annotated[
        int,
        Number(
            low=1,
            why_low="one message at least must be on its way",
            high=65_536,
            why_high="each is sent again after a cut",
            whole=True,
        ),
    ] = 128
    ack_hold_s: Annotated[
        float,
        Number(
            low=0.0,
            why_low="0 is not at all",
            high=60.0,
            why_high="a sink would stand still for longer than a minute",
        ),
    ] = 0.5
    connect_timeout_s: Annotated[
        float,
        Number(
            low=0.1,
            why_low="no server answers sooner",
            high=300.0,
            why_high="the next server would wait for it",
        ),
    ] = 10.0
    ack_timeout_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="a busy server is not a dead one",
            high=3600.0,
            why_high="a server that hangs would be waited for",
        ),
    ] = 60.0
    tls_ca_file: Annotated[Path | None, PATH] = None
    tls_cert_file: Annotated[Path | None, PATH] = None
    tls_key_file: Annotated[Path | None, PATH] = None
    tls_server_name: Annotated[str | None, SERVER_NAME] = None
    tls_dangerously_accept_any_certificate: Annotated[bool, Switch()] = False
