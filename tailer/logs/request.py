"""The checked flags of `tailer logs`, and the read requests of a set of workloads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailer.config import PollSettings
from tailer.discovery.selector import Selector
from tailer.errors import ConfigError
from tailer.logs.pipeline import ReadRequest
from tailer.model import Workload
from tailer.polling.poller import AHEAD_NS
from tailer.sinks.formats.build import FormatSettings
from tailer.sinks.lines import LineFilter
from tailer.timestamp import NS_PER_S, ns_or_none


@dataclass(frozen=True, slots=True)
class When:
    """A point in time: an age by the service's clock, or a date."""

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

    `selector` matches targets that are not named; its resource groups are not resolved yet.
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
        """Start of the time range; `now_ns` is the service's clock."""
        return (self.since or _DEFAULT_SINCE).resolve_ns(now_ns)


def plan(request: LogsRequest, workloads: Sequence[Workload], *, now_ns: int) -> list[ReadRequest]:
    """One read request for each target; `now_ns` is the service's clock.

    Raises:
        ConfigError: The time range is empty.
    """
    start_ns, end_ns = request.start_ns(now_ns), now_ns
    if request.until is not None:
        end_ns = request.until.resolve_ns(now_ns)
    if not request.follow and start_ns >= end_ns:
        if request.until is None:
            raise ConfigError("--since is not in the past", hint="use --follow for new lines")
        raise ConfigError("--since is not before --until", hint="the default of --since is 1h")
    if request.until is None:
        end_ns += AHEAD_NS
    return list(
        {
            workload.target: ReadRequest(
                workload.target,
                _start_ns(request, workload, start_ns),
                None if request.follow else end_ns,
                request.last,
                workload,
            )
            for workload in workloads
        }.values()
    )


def _start_ns(request: LogsRequest, workload: Workload, start_ns: int) -> int:
    """With --tail and no --since, the creation of the target, if that is earlier."""
    if request.last is None or request.since is not None:
        return start_ns
    created_ns = ns_or_none(workload.created_at)
    return start_ns if created_ns is None else min(start_ns, created_ns)
