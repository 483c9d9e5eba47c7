"""Every section of the configuration: its keys with type, range, unit and default. Pure.

A key whose name ends in `_s` is a duration in seconds, and one in `_bytes` a size; both also
accept text with a unit, such as "10m" or "1GB". Fields marked Internal are not keys of the file.
`example.toml` describes every key.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from msgspec import Meta

from tailer.config import values
from tailer.config.fields import HEADER_FIELDS, LINE_FIELDS
from tailer.config.values import INTERNAL, ONE_OR_MORE, Check, Zero, matching, one_of
from tailer.model import Status

_T = TypeVar("_T")

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 365 * _DAY_S
_MIB: Final = 1 << 20
_PIB: Final = 1 << 50  # larger than any disk

# RFC 5424, table 1, by the names that syslog daemons use; table 2: the position is the code.
_FIRST_FACILITIES: Final = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp"
FACILITIES: Final = (*_FIRST_FACILITIES.split(), *(f"local{number}" for number in range(8)))
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

ALL_GROUPS: Final = "*"
SELECTOR_KEYS: Final = ("kind", "scenario", "executable", "configuration", "status", "id")

_PORT: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\s/?#@:\[\]]+)"
# unix(7) allows 107 bytes, and tailer creates the socket under a longer temporary name.
_SOCKET: Final = r"unix:/(?!/)[ -~]{0,98}[!-.0-~]"
_SYSLOG: Final = rf"(?i:udp|tcp|tls|relp|relp\+tls)://{_HOST}(?::{_PORT})?/?"
_UNIX: Final = r"unix:(?:///|/(?!/))[^?#\x00]+"

Internal: TypeAlias = Annotated[_T, INTERNAL]
OneOrMore: TypeAlias = Annotated[tuple[_T, ...], ONE_OR_MORE]
NonEmptyText: TypeAlias = Annotated[str, matching(r".*\S.*", "text that is not empty")]
AbsolutePath: TypeAlias = Annotated[Path, Check(values.absolute_path, "an absolute path")]
Pattern: TypeAlias = Annotated[
    re.Pattern[str], Check(values.regular_expression, "a regular expression", separator="\n")
]
TargetName: TypeAlias = Annotated[str, Check(values.target, "deployment/ID, execution/ID or ID")]
ResourceGroup: TypeAlias = Annotated[
    str, matching(r"[!-~](?:[ -~]*[!-~])?", "the ID of a resource group")
]
SinkName: TypeAlias = Annotated[
    str, matching(r"[A-Za-z0-9._-]{1,100}", "1 to 100 letters, digits, '.', '_' and '-'")
]
ListenAddress: TypeAlias = Annotated[
    str, matching(rf"|{_SOCKET}|{_HOST}:{_PORT}", '"HOST:PORT", "unix:/PATH", or "" for none')
]
FilePath: TypeAlias = Annotated[str, Check(values.file_path, "an absolute path with fields")]
LineTemplate: TypeAlias = Annotated[str, values.template(LINE_FIELDS, '"{time} {msg}"')]
HeaderTemplate: TypeAlias = Annotated[str, values.template(HEADER_FIELDS, '"{pod}"')]
SyslogUrl: TypeAlias = Annotated[
    str,
    matching(
        rf"{_SYSLOG}|{_UNIX}",
        '"SCHEME://HOST:PORT" (udp, tcp, tls, relp or relp+tls) or "unix:///PATH"',
    ),
]
Facility: TypeAlias = Annotated[str, one_of(FACILITIES)]
Severity: TypeAlias = Annotated[str, one_of(SEVERITIES)]
# RFC 5424, 7.2.2: the SD-ID, "aicore@" and this number, has at most 32 characters.
EnterpriseId: TypeAlias = Annotated[
    str, matching(r"(?=.{1,25}\Z)\d+(?:\.\d+)*", 'digits and periods in quotes, as in "32473"')
]
HostName: TypeAlias = Annotated[str, matching(r"\w[\w.:-]{0,252}", "a host name")]

KindName: TypeAlias = Literal["deployment", "execution"]
Format: TypeAlias = Literal["text", "json", "raw", "logfmt"]
ControlCharacters: TypeAlias = Literal["escape", "octal", "raw"]


@dataclass(frozen=True, slots=True)
class PaceSettings:
    interval_s: Annotated[float, Meta(ge=0.1, le=_HOUR_S)] = 1.0
    idle_interval_s: Annotated[float, Meta(ge=0.1, le=_HOUR_S)] = 15.0


@dataclass(frozen=True, slots=True)
class PollSettings:
    """`drain_s`: a finished target is polled until this long has passed without a new line."""

    pace: Internal[PaceSettings] = field(default_factory=PaceSettings)
    lateness_s: Annotated[float, Meta(ge=1, le=_DAY_S)] = 60.0
    edge_s: Internal[float] = 5.0
    sweep_s: Internal[float] = 15.0
    status_s: Internal[float] = 5.0
    drain_s: Internal[float] = 60.0
    backfill_s: Annotated[float, Meta(ge=0, le=_YEAR_S)] = 3600.0
    requests_per_s: Annotated[float, Meta(ge=0.1, le=1000)] = 20.0
    discovery_interval_s: Annotated[float, Meta(ge=1, le=_HOUR_S)] = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AicoreSection:
    service_key_file: AbsolutePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Either `targets`, or a selector: the workloads that match all other keys."""

    resource_group: OneOrMore[ResourceGroup] | None = None
    targets: tuple[TargetName, ...] = ()
    kind: KindName | None = None
    scenario: OneOrMore[NonEmptyText] | None = None
    executable: OneOrMore[NonEmptyText] | None = None
    configuration: OneOrMore[Pattern] | None = None
    status: OneOrMore[Status] | None = None
    id: OneOrMore[Pattern] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSection:
    path: AbsolutePath = Path("/var/lib/tailer/spool.db")
    max_bytes: Annotated[int, Meta(ge=_MIB, le=_PIB)] = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSection:
    """`listen` is host:port or unix:/path, or empty for no status server."""

    listen: ListenAddress = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSection:
    shutdown_timeout_s: Annotated[float, Meta(ge=0, le=_HOUR_S)] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """`path` is a template of PATH_FIELDS. `template` replaces `format`."""

    path: FilePath
    format: Format = "json"
    template: LineTemplate | None = None
    rotate_bytes: Annotated[int, Meta(ge=4096, le=_PIB), Zero("never")] = 100 * _MIB
    rotate_s: Annotated[float, Meta(ge=1, le=_YEAR_S), Zero("never")] = 0.0
    keep_files: Annotated[int, Meta(ge=1, le=100_000)] = 7
    compress: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSection:
    """`url`: servers in order of preference, all with one scheme. See `docs/syslog.md`."""

    url: OneOrMore[SyslogUrl]
    format: Literal["rfc5424", "rfc3164"] = "rfc5424"
    framing: Literal["auto", "octet-counting", "lf"] = "auto"
    facility: Facility = "local0"
    severity: Literal["stream", "auto"] = "stream"
    severity_stdout: Severity = "info"
    severity_stderr: Severity = "warning"
    hostname: HeaderTemplate = "{pod}"
    app_name: HeaderTemplate = "{id}"
    procid: HeaderTemplate = "{container}"
    msgid: HeaderTemplate = "AICORE"
    enterprise_id: EnterpriseId = "32473"
    control_characters: ControlCharacters = "escape"
    byte_order_mark: bool = False
    # RFC 5424, 6.1: every receiver accepts 480 octets.
    max_message_bytes: Annotated[
        int, Meta(ge=480, le=16 * _MIB), Zero("the usual limit of the transport")
    ] = 0
    oversize: Literal["truncate", "split"] = "truncate"
    datagrams_per_s: Annotated[float, Meta(ge=1, le=1_000_000), Zero("no limit")] = 1000.0
    relp_window: Annotated[int, Meta(ge=1, le=65_536)] = 128
    ack_hold_s: Annotated[float, Meta(ge=0, le=60)] = 0.5
    connect_timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    ack_timeout_s: Annotated[float, Meta(ge=1, le=_HOUR_S)] = 60.0
    tls_ca_file: AbsolutePath | None = None
    tls_cert_file: AbsolutePath | None = None
    tls_key_file: AbsolutePath | None = None
    tls_server_name: HostName | None = None
    tls_dangerously_accept_any_certificate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSection:
    """Keys of every sink. `to` holds the keys of its kind, which stand in the same table.

    `name` identifies the sink in the spool: a renamed sink starts from the beginning.
    """

    to: Internal[FileSection | SyslogSection]
    name: SinkName
    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    containers: tuple[Pattern, ...] = ()
    streams: tuple[Literal["stdout", "stderr"], ...] = ()
    targets: tuple[TargetName, ...] = ()
    when_full: Literal["wait", "drop_oldest"] = "wait"


SINK_KINDS: Final = {"file": FileSection, "syslog": SyslogSection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration; only the composition root takes it apart."""

    aicore: AicoreSection = field(default_factory=AicoreSection)
    watches: tuple[Watch, ...] = ()
    poll: PollSettings = field(default_factory=PollSettings)
    spool: SpoolSection = field(default_factory=SpoolSection)
    status: StatusSection = field(default_factory=StatusSection)
    daemon: DaemonSection = field(default_factory=DaemonSection)
    sinks: tuple[SinkSection, ...] = ()
