"""What `tailer logs` was asked for; time ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailer.config import PollSettings
from tailer.discovery.selector import Selector
from tailer.errors import ConfigError
from tailer.logs.pipeline import Reading
from tailer.model import Workload
from tailer.polling.poller import AHEAD_NS
from tailer.sinks.formats.build import FormatSettings
from tailer.sinks.lines import LineFilter
from tailer.timestamp import NS_PER_S, parse_ns


@dataclass(frozen=True, slots=True)
class When:
    """A point in time: so long ago by the service's clock, or a date."""

    ago_s: float | None = None
    at_ns: int | None = None

    def resolve_ns(self, now_ns: int) -> int:
        if self.at_ns is not None:
            return self.at_ns
        assert self.ago_s is not None
        return max(0, now_ns - round(self.ago_s * NS_PER_S))


_DEFAULT_SINCE = When(ago_s=3600)


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """The flags of `tailer logs`, checked and compiled.

    `selector` is what is meant without being named, in whatever resource groups.
    """

    names: tuple[str, ...]
    selector: Selector | None
    all_groups: bool
    resource_groups: tuple[str, ...]
    service_key_file: Path | None
    follow: bool
    since: When | None
    until: When | None
    last: int | None
    timeout_s: float | None
    poll: PollSettings
    line_filter: LineFilter
    form: FormatSettings
    tee: Path | None
    tee_form: FormatSettings
    wait_s: float | None
    max_lines: int | None
    error_context: int
    summary: Path | None
    quiet: bool
    colors_stderr: bool

    def start_ns(self, now_ns: int) -> int:
        """From when on lines are wanted; `now_ns` is the service's clock."""
        return (self.since or _DEFAULT_SINCE).resolve_ns(now_ns)


def plan(request: LogsRequest, workloads: Sequence[Workload], *, now_ns: int) -> list[Reading]:
    """What to read of each target; `now_ns` is the service's clock.

    Raises:
        ConfigError: The range is empty.
    """
    start_ns = request.start_ns(now_ns)
    end_ns = None if request.follow else now_ns + AHEAD_NS
    if request.until is not None:
        end_ns = request.until.resolve_ns(now_ns)
    _refuse_empty_range(request, start_ns, now_ns=now_ns)
    readings = {}
    for workload in workloads:
        began_ns = start_ns
        if request.last is not None and request.since is None:
            began_ns = min(start_ns, _created_ns(workload, default_ns=start_ns))
        readings[workload.target] = Reading(
            workload.target, began_ns, end_ns, request.last, workload
        )
    return list(readings.values())


def _refuse_empty_range(request: LogsRequest, start_ns: int, *, now_ns: int) -> None:
    if request.follow:
        return
    if request.until is None and start_ns >= now_ns:
        raise ConfigError("--since is not in the past", hint="new lines are shown with --follow")
    if request.until is not None and start_ns >= request.until.resolve_ns(now_ns):
        raise ConfigError(
            "--since is not before --until", hint="unless told, --since is one hour ago"
        )


def _created_ns(workload: Workload, *, default_ns: int) -> int:
    try:
        return parse_ns(workload.created_at)
    except ValueError:
        return default_ns
