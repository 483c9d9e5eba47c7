"""Every section and key with default, range and unit.

A syslog sink: where to, what a message looks like, what counts as delivered. Pure.

Where lines go: what every sink has, and what only its kind has. Pure.

What can be set, part by part: each part gets its own section and never the whole. Pure.

In a section, a field with a reader is a key of the file; without a default it is required.
What each key means is said in `config.example.toml`, which a test holds to this.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from tailer.config.readers import (
    ONE_OR_MORE_NAMES,
    ONE_OR_MORE_PATTERNS,
    PATH,
    PATTERNS,
    ListOf,
    Number,
    OneOrMore,
    Switch,
    choice,
)
from tailer.config.texts import (
    ENTERPRISE_ID,
    FACILITIES,
    HEADER_TEMPLATE,
    LINE_TEMPLATE,
    LISTEN_ADDRESS,
    NAME,
    PATH_TEMPLATE,
    RESOURCE_GROUP,
    SERVER_NAME,
    SEVERITIES,
    SYSLOG_URL,
    TARGET,
)
from tailer.model import Kind, Status

_MIB: Final = 1 << 20

SyslogFormat: TypeAlias = Literal["rfc5424", "rfc3164"]
Framing: TypeAlias = Literal["auto", "octet-counting", "lf"]
SeverityFrom: TypeAlias = Literal["stream", "auto"]
Oversize: TypeAlias = Literal["truncate", "split"]
ControlCharacters: TypeAlias = Literal["escape", "octal", "keep"]

_DAY_S: Final = 86_400.0
_YEAR_S: Final = 365 * _DAY_S


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


_PIB: Final = 1 << 50

Format: TypeAlias = Literal["text", "json", "raw", "logfmt"]
WhenFull: TypeAlias = Literal["wait", "drop_oldest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """`path` is a template of PATH_FIELDS. A `template` takes the place of `format`."""

    path: Annotated[str, PATH_TEMPLATE]
    format: Annotated[Format, choice("text", "json", "raw", "logfmt")] = "json"
    template: Annotated[str | None, LINE_TEMPLATE] = None
    rotate_bytes: Annotated[
        int,
        Number(
            low=4096,
            why_low="it would be all rotation",
            high=_PIB,
            why_high="no disk is larger",
            whole=True,
            zero="never",
        ),
    ] = 100 * _MIB
    rotate_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="it would be all rotation",
            high=_YEAR_S,
            why_high="0 says never",
            zero="never",
        ),
    ] = 0.0
    keep_files: Annotated[
        int,
        Number(
            low=1,
            why_low="a rotated file is not deleted at once",
            high=100_000,
            why_high="no directory should hold more",
            whole=True,
        ),
    ] = 7
    compress: Annotated[bool, Switch()] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSection:
    """What every sink has; `to` is what only its kind has, written in the same table.

    `name` is the sink's place in the spool: under another name it begins anew.
    """

    to: FileSection | SyslogSection
    name: Annotated[str, NAME]
    include: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    exclude: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    containers: Annotated[tuple[re.Pattern[str], ...], PATTERNS] = ()
    streams: Annotated[tuple[str, ...], ListOf(choice("stdout", "stderr"))] = ()
    targets: Annotated[tuple[str, ...], ListOf(TARGET)] = ()
    when_full: Annotated[WhenFull, choice("wait", "drop_oldest")] = "wait"


SINK_KINDS: Final = {"file": FileSection, "syslog": SyslogSection}


@dataclass(frozen=True, slots=True)
class PaceSettings:
    interval_s: float = 1.0
    idle_interval_s: float = 15.0


_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PollSettings:
    """`lateness_s`: how long after its own timestamp a line may still appear.

    `drain_s`: how long an ended target must show nothing new before it is left.
    `backfill_s`: how far back a target is read that was never read before.
    `requests_per_s`: for all targets together.
    `discovery_interval_s`: how often it is looked what there is, for selectors.
    """

    pace: PaceSettings = field(default_factory=PaceSettings)
    lateness_s: float = 60.0
    edge_s: float = 5.0
    sweep_s: float = 15.0
    status_s: float = 5.0
    drain_s: float = 60.0
    backfill_s: float = 3600.0
    requests_per_s: float = 20.0
    discovery_interval_s: float = 15.0


_PACE: Final = PaceSettings()
_POLL: Final = PollSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSection:
    """`[poll]` as it is written; the poller's own finer settings are not for operators."""

    interval_s: Annotated[
        float,
        Number(
            low=0.1,
            why_low="quicker polls would only wait for each other",
            high=_HOUR_S,
            why_high="a line would wait for longer than an hour",
        ),
    ] = _PACE.interval_s
    idle_interval_s: Annotated[
        float,
        Number(
            low=0.1,
            why_low="quicker polls would only wait for each other",
            high=_HOUR_S,
            why_high="a line would wait for longer than an hour",
        ),
    ] = _PACE.idle_interval_s
    lateness_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="no pipeline shows a line at once",
            high=_DAY_S,
            why_high="every line of this time is kept in memory",
        ),
    ] = _POLL.lateness_s
    backfill_s: Annotated[
        float,
        Number(
            low=0.0,
            why_low="it counts back from now",
            high=_YEAR_S,
            why_high="no service keeps logs for so long",
        ),
    ] = _POLL.backfill_s
    requests_per_s: Annotated[
        float,
        Number(
            low=0.1,
            why_low="with fewer no target would keep up",
            high=1000.0,
            why_high="the service is shared with others",
        ),
    ] = _POLL.requests_per_s
    discovery_interval_s: Annotated[
        float,
        Number(
            low=1.0,
            why_low="each look lists whole resource groups",
            high=_HOUR_S,
            why_high="what the service deletes sooner would never be seen",
        ),
    ] = _POLL.discovery_interval_s

    @property
    def settings(self) -> PollSettings:
        return PollSettings(
            pace=PaceSettings(self.interval_s, self.idle_interval_s),
            lateness_s=self.lateness_s,
            drain_s=self.lateness_s,
            backfill_s=self.backfill_s,
            requests_per_s=self.requests_per_s,
            discovery_interval_s=self.discovery_interval_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AicoreSection:
    service_key_file: Annotated[Path | None, PATH] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """`targets` as people write them: `deployment/ID`, `execution/ID`, or a bare ID.

    Without them, all that the other keys describe, now and later.
    """

    resource_group: Annotated[tuple[str, ...] | None, OneOrMore(RESOURCE_GROUP)] = None
    targets: Annotated[tuple[str, ...], ListOf(TARGET)] = ()
    kind: Annotated[str | None, choice(*Kind)] = None
    scenario: Annotated[tuple[str, ...] | None, ONE_OR_MORE_NAMES] = None
    executable: Annotated[tuple[str, ...] | None, ONE_OR_MORE_NAMES] = None
    configuration: Annotated[tuple[re.Pattern[str], ...] | None, ONE_OR_MORE_PATTERNS] = None
    status: Annotated[tuple[str, ...] | None, OneOrMore(choice(*Status))] = None
    id: Annotated[tuple[re.Pattern[str], ...] | None, ONE_OR_MORE_PATTERNS] = None


SELECTOR_KEYS: Final = ("kind", "scenario", "executable", "configuration", "status", "id")
ALL_GROUPS: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSection:
    path: Annotated[Path, PATH] = Path("/var/lib/tailer/spool.db")
    max_bytes: Annotated[
        int,
        Number(
            low=_MIB,
            why_low="a page of the service must fit",
            high=_PIB,
            why_high="no disk is larger",
            whole=True,
        ),
    ] = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSection:
    """`listen` is host:port or unix:/path, or empty for no status page."""

    listen: Annotated[str, LISTEN_ADDRESS] = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSection:
    shutdown_s: Annotated[
        float,
        Number(
            low=0.0,
            why_low="0 is at once",
            high=_HOUR_S,
            why_high="what is left is kept in the spool anyway",
        ),
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it, for the composition root alone to take apart."""

    aicore: AicoreSection = field(default_factory=AicoreSection)
    watches: tuple[Watch, ...] = ()
    poll: PollSettings = field(default_factory=PollSettings)
    spool: SpoolSection = field(default_factory=SpoolSection)
    status: StatusSection = field(default_factory=StatusSection)
    daemon: DaemonSection = field(default_factory=DaemonSection)
    sinks: tuple[SinkSection, ...] = ()
