"""Every section of the configuration: its keys with type, range and default. Pure.

Durations end in `_s`, sizes in `_bytes`; both also accept text with a unit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_type_hints

from msgspec import Meta

from tailer.config import values
from tailer.config.fields import HEADER_FIELDS, LINE_FIELDS
from tailer.config.values import INTERNAL, ONE_OR_MORE, REQUIRED, Key, matching, number
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
_ADDRESS: Final = matching(
    rf"|{_SOCKET}|{_HOST}:{_PORT}", '"HOST:PORT", "unix:/PATH", or "" for none'
)
_URL: Final = matching(
    rf"(?i:udp|tcp|tls|relp|relp\+tls)://{_HOST}(?::{_PORT})?/?|unix:(?:///|/(?!/))[^?#\x00]+",
    '"SCHEME://HOST:PORT" (udp, tcp, tls, relp or relp+tls) or "unix:///PATH"',
)
_GROUP: Final = matching(r"[!-~](?:[ -~]*[!-~])?", "the ID of a resource group")
_NAME: Final = matching(r"[A-Za-z0-9._-]{1,100}", "1 to 100 letters, digits, '.', '_' and '-'")
# RFC 5424, 7.2.2: the SD-ID, "aicore@" and this number, has at most 32 characters.
_OID: Final = matching(r"(?=.{1,25}\Z)\d+(\.\d+)*", 'digits and periods in quotes, as in "32473"')
_USUAL_LIMIT: Final = "the usual limit of the transport"
_PATH: Final = Meta(description="an absolute path")
_TARGET: Final = Meta(description="deployment/ID, execution/ID or ID")
_REGEX: Final = Meta(description="a regular expression")
_FIELDS: Final = Meta(description="text with fields")

Internal: TypeAlias = Annotated[_T, INTERNAL]
OneOrMore: TypeAlias = Annotated[tuple[_T, ...], ONE_OR_MORE]
NonEmptyText: TypeAlias = Annotated[str, matching(r".*\S.*", "text that is not empty")]
AbsolutePath: TypeAlias = Annotated[Path, values.absolute_path, _PATH]
Pattern: TypeAlias = Annotated[re.Pattern[str], values.regular_expression, _REGEX]
TargetName: TypeAlias = Annotated[str, values.target, _TARGET]
HeaderTemplate: TypeAlias = Annotated[str, values.template(HEADER_FIELDS, '"{pod}"'), _FIELDS]
Severity: TypeAlias = Annotated[str, matching("|".join(SEVERITIES))]
Format: TypeAlias = Literal["text", "json", "raw", "logfmt"]
SyslogFormat: TypeAlias = Literal["rfc5424", "rfc3164"]
ControlCharacters: TypeAlias = Literal["escape", "octal", "raw"]


@dataclass(frozen=True, slots=True)
class PaceSettings:
    interval_s: Annotated[float, number(0.1, _HOUR_S)] = 1.0
    idle_interval_s: Annotated[float, number(0.1, _HOUR_S)] = 15.0


@dataclass(frozen=True, slots=True)
class PollSettings:
    pace: Internal[PaceSettings] = field(default_factory=PaceSettings)
    lateness_s: Annotated[float, number(1, _DAY_S)] = 60.0
    edge_s: Internal[float] = 5.0
    sweep_s: Internal[float] = 15.0
    status_s: Internal[float] = 5.0
    drain_s: Internal[float] = 60.0  # without a new line, until a finished target is done
    backfill_s: Annotated[float, number(0, _YEAR_S)] = 3600.0
    requests_per_s: Annotated[float, number(0.1, 1000)] = 20.0
    discovery_interval_s: Annotated[float, number(1, _HOUR_S)] = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AicoreSection:
    service_key_file: AbsolutePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Either `targets`, or a selector: the workloads that match all other keys."""

    resource_group: OneOrMore[Annotated[str, _GROUP]] | None = None
    targets: tuple[TargetName, ...] = ()
    kind: Literal["deployment", "execution"] | None = None
    scenario: OneOrMore[NonEmptyText] | None = None
    executable: OneOrMore[NonEmptyText] | None = None
    configuration: OneOrMore[Pattern] | None = None
    status: OneOrMore[Status] | None = None
    id: OneOrMore[Pattern] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSection:
    path: AbsolutePath = Path("/var/lib/tailer/spool.db")
    max_bytes: Annotated[int, number(_MIB, _PIB)] = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSection:
    listen: Annotated[str, _ADDRESS] = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSection:
    shutdown_timeout_s: Annotated[float, number(0, _HOUR_S)] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    path: Annotated[str, values.file_path, Meta(description="an absolute path with fields")]
    format: Format = "json"
    template: Annotated[str, values.template(LINE_FIELDS, '"{time} {msg}"'), _FIELDS] | None = None
    rotate_bytes: Annotated[int, number(4096, _PIB, zero="never")] = 100 * _MIB
    rotate_s: Annotated[float, number(1, _YEAR_S, zero="never")] = 0.0
    keep_files: Annotated[int, number(1, 100_000)] = 7
    compress: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSection:
    url: OneOrMore[Annotated[str, _URL]]
    format: SyslogFormat = "rfc5424"
    framing: Literal["auto", "octet-counting", "lf"] = "auto"
    facility: Annotated[str, matching("|".join(FACILITIES))] = "local0"
    severity: Literal["stream", "auto"] = "stream"
    severity_stdout: Severity = "info"
    severity_stderr: Severity = "warning"
    hostname: HeaderTemplate = "{pod}"
    app_name: HeaderTemplate = "{id}"
    procid: HeaderTemplate = "{container}"
    msgid: HeaderTemplate = "AICORE"
    enterprise_id: Annotated[str, _OID] = "32473"
    control_characters: ControlCharacters = "escape"
    byte_order_mark: bool = False
    # RFC 5424, 6.1: every receiver accepts 480 octets.
    max_message_bytes: Annotated[int, number(480, 16 * _MIB, zero=_USUAL_LIMIT)] = 0
    oversize: Literal["truncate", "split"] = "truncate"
    datagrams_per_s: Annotated[float, number(1, 1_000_000, zero="no limit")] = 1000.0
    relp_window: Annotated[int, number(1, 65_536)] = 128
    ack_hold_s: Annotated[float, number(0, 60)] = 0.5
    connect_timeout_s: Annotated[float, number(0.1, 300)] = 10.0
    ack_timeout_s: Annotated[float, number(1, _HOUR_S)] = 60.0
    tls_ca_file: AbsolutePath | None = None
    tls_cert_file: AbsolutePath | None = None
    tls_key_file: AbsolutePath | None = None
    tls_server_name: Annotated[str, matching(r"\w[\w.:-]{0,252}", "a host name")] | None = None
    tls_dangerously_accept_any_certificate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSection:
    to: Internal[FileSection | SyslogSection]  # the keys of its kind, in the same table
    name: Annotated[str, _NAME]  # its key in the spool: a renamed sink starts from the beginning
    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    containers: tuple[Pattern, ...] = ()
    streams: tuple[Literal["stdout", "stderr"], ...] = ()
    targets: tuple[TargetName, ...] = ()
    when_full: Literal["wait", "drop_oldest"] = "wait"


SINK_KINDS: Final[Mapping[str, type[Any]]] = {"file": FileSection, "syslog": SyslogSection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    aicore: AicoreSection = field(default_factory=AicoreSection)
    watches: tuple[Watch, ...] = ()
    poll: PollSettings = field(default_factory=PollSettings)
    spool: SpoolSection = field(default_factory=SpoolSection)
    status: StatusSection = field(default_factory=StatusSection)
    daemon: DaemonSection = field(default_factory=DaemonSection)
    sinks: tuple[SinkSection, ...] = ()


def keys_of(*sections: type[Any]) -> dict[str, Key]:
    """All fields that are keys of the file, in order."""
    keys: dict[str, Key] = {}
    for section in sections:
        hints = get_type_hints(section, include_extras=True)
        for one in fields(section):
            if INTERNAL not in values.unwrapped(hints[one.name])[1]:
                keys[one.name] = Key(one.name, hints[one.name], one.default)
    return keys


SINK_KEYS: Final = {
    kind: {
        "kind": Key("kind", Literal[tuple(SINK_KINDS)], REQUIRED),
        **keys_of(section, SinkSection),
        "name": Key("name", Annotated[str, _NAME], None),  # the default is the kind
    }
    for kind, section in SINK_KINDS.items()
}
_ANY_FORMAT: Final = Key("format", Literal[Format, SyslogFormat], None)  # of an unknown kind
SECTIONS: Final[Mapping[str, Mapping[str, Key]]] = {
    "aicore": keys_of(AicoreSection),
    "poll": keys_of(PaceSettings, PollSettings),
    "spool": keys_of(SpoolSection),
    "status": keys_of(StatusSection),
    "daemon": keys_of(DaemonSection),
    "watch": keys_of(Watch),
    "sink": {**SINK_KEYS["file"], **SINK_KEYS["syslog"], "format": _ANY_FORMAT},
}
ARRAYS: Final = ("watch", "sink")  # the sections that may be repeated


def header(section: str) -> str:
    return f"[[{section}]]" if section in ARRAYS else f"[{section}]"


def variable_for(section: str, key: str, number: int = 0) -> str:
    """The environment variable of the key; `number` is the element's, counted from 0."""
    middle = f"__{number + 1}" if section in ARRAYS else ""
    return f"TAILER_{section}{middle}__{key}".upper()
