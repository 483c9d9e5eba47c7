"""What can be set, part by part: each part gets its own section and never the whole. Pure.

In a section, a field with a reader is a key of the file; without a default it is required.
What each key means is said in `config.example.toml`, which a test holds to this.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from tailer.config.readers import PATH, PATTERNS, ListOf, Number, Switch, choice
from tailer.config.texts import (
    FACILITIES,
    LINE_TEMPLATE,
    LISTEN_ADDRESS,
    NAME,
    PATH_TEMPLATE,
    RESOURCE_GROUP,
    SYSLOG_URL,
    TARGET,
)
from tailer.pacing import PaceSettings

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 365 * _DAY_S
_MIB: Final = 1 << 20
_PIB: Final = 1 << 50

Format: TypeAlias = Literal["text", "json", "raw", "logfmt"]
WhenFull: TypeAlias = Literal["wait", "drop_oldest"]


@dataclass(frozen=True, slots=True)
class PollSettings:
    """`lateness_s`: how long after its own timestamp a line may still appear.

    `drain_s`: how long an ended target must show nothing new before it is left.
    `backfill_s`: how far back a target is read that was never read before.
    `requests_per_s`: for all targets together.
    """

    pace: PaceSettings = field(default_factory=PaceSettings)
    lateness_s: float = 60.0
    edge_s: float = 5.0
    sweep_s: float = 15.0
    status_s: float = 5.0
    drain_s: float = 60.0
    backfill_s: float = 3600.0
    requests_per_s: float = 20.0


_PACE: Final = PaceSettings()
_POLL: Final = PollSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSection:
    """`[poll]` as it is written; the poller's own finer settings are not for operators."""

    interval_s: Annotated[
        float, Number(0.1, _HOUR_S, "below, polls would only wait for each other")
    ] = _PACE.interval_s
    idle_interval_s: Annotated[
        float, Number(0.1, _HOUR_S, "above, a line would wait for longer than an hour")
    ] = _PACE.idle_interval_s
    lateness_s: Annotated[
        float, Number(1.0, _DAY_S, "every line of this time is kept in memory and read again")
    ] = _POLL.lateness_s
    backfill_s: Annotated[float, Number(0.0, _YEAR_S, "no service keeps logs for longer")] = (
        _POLL.backfill_s
    )
    requests_per_s: Annotated[
        float, Number(0.1, 1000.0, "for all targets together, and the service is shared")
    ] = _POLL.requests_per_s

    @property
    def settings(self) -> PollSettings:
        return PollSettings(
            pace=PaceSettings(self.interval_s, self.idle_interval_s),
            lateness_s=self.lateness_s,
            drain_s=self.lateness_s,
            backfill_s=self.backfill_s,
            requests_per_s=self.requests_per_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AicoreSection:
    service_key_file: Annotated[Path | None, PATH] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """`targets` as people write them: `deployment/ID`, `execution/ID`, or a bare ID."""

    resource_group: Annotated[str | None, RESOURCE_GROUP] = None
    targets: Annotated[tuple[str, ...], ListOf(TARGET)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSection:
    path: Annotated[Path, PATH] = Path("/var/lib/tailer/spool.db")
    max_bytes: Annotated[
        int,
        Number(_MIB, _PIB, "a page of the service must fit, and the disk is finite", whole=True),
    ] = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSection:
    """`listen` is host:port, or empty for no status page."""

    listen: Annotated[str, LISTEN_ADDRESS] = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSection:
    shutdown_s: Annotated[
        float, Number(0.0, _HOUR_S, "what is not drained then waits in the spool")
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """`path` is a template of PATH_FIELDS. A `template` takes the place of `format`."""

    path: Annotated[str, PATH_TEMPLATE]
    format: Annotated[Format, choice("text", "json", "raw", "logfmt")] = "json"
    template: Annotated[str | None, LINE_TEMPLATE] = None
    rotate_bytes: Annotated[
        int,
        Number(4096, _PIB, "smaller files are all rotation", whole=True, zero="for never"),
    ] = 100 * _MIB
    rotate_s: Annotated[
        float, Number(1.0, _YEAR_S, "more often, files are all rotation", zero="for never")
    ] = 0.0
    keep_files: Annotated[
        int, Number(1, 100_000, "the newest rotated file is never deleted", whole=True)
    ] = 7
    compress: Annotated[bool, Switch()] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSection:
    """`url` is udp:// tcp:// tls:// relp:// relp+tls:// with a host, or unix:///socket."""

    url: Annotated[str, SYSLOG_URL]
    facility: Annotated[str, choice(*FACILITIES)] = "local0"


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
