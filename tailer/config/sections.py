"""What can be set, part by part: each part gets its own section and never the whole. Pure.

In a section, a field with a reader is a key of the file; without a default it is required.
What each key means is said in `config.example.toml`, which a test holds to this.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from tailer.config.readers import (
    ONE_OR_MORE_NAMES,
    ONE_OR_MORE_PATTERNS,
    PATH,
    ListOf,
    Number,
    OneOrMore,
    choice,
)
from tailer.config.sinks import SinkSection
from tailer.config.texts import (
    LISTEN_ADDRESS,
    RESOURCE_GROUP,
    TARGET,
)
from tailer.model import Kind, Status
from tailer.pacing import PaceSettings
from tailer.selection import Selector

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 365 * _DAY_S
_MIB: Final = 1 << 20
_PIB: Final = 1 << 50


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

    def selector(self, *, default_group: str) -> Selector | None:
        """None for a watch of `targets`."""
        if self.targets:
            return None
        groups = self.resource_group or (default_group,)
        return Selector(
            resource_groups=None if groups == (ALL_GROUPS,) else groups,
            kinds=tuple(Kind) if self.kind is None else (Kind(self.kind),),
            scenarios=self.scenario or (),
            executables=self.executable or (),
            configurations=self.configuration or (),
            statuses=tuple(Status(one) for one in self.status or ()),
            ids=self.id or (),
        )


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
