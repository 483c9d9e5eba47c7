"""The flags of `tailer logs`, checked together and compiled once."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailer.cli.options import When
from tailer.cli.selector_flags import compile_selector, is_selecting
from tailer.cli.streams import wants_colour
from tailer.config import PollSettings
from tailer.config.settings import PaceSettings
from tailer.errors import ConfigError
from tailer.model import Workload
from tailer.poller import AHEAD_NS
from tailer.selection import Selector
from tailer.sinks.format import FormatSettings, build_formatter
from tailer.sinks.line_filter import LineFilter, compile_pattern
from tailer.sinks.wall_time import timezone_named
from tailer.terminal import Reading
from tailer.timestamp import parse_ns

_DEFAULT_SINCE = When(ago_s=3600)
# A person watches: a quiet target is still asked every few seconds.
_PACE = PaceSettings(interval_s=1.0, idle_interval_s=3.0)
_DISCOVERY_INTERVAL_S = 10.0


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
    color: str

    def start_ns(self, now_ns: int) -> int:
        """From when on lines are wanted; `now_ns` is the service's clock."""
        return (self.since or _DEFAULT_SINCE).resolve_ns(now_ns)


def compile_request(flags: dict[str, Any], *, stdout_is_terminal: bool) -> LogsRequest:
    """Raises: ConfigError, naming the flag, its value and the remedy."""
    _refuse_contradictions(flags)
    lateness_s = flags["lateness"]
    form = FormatSettings(
        format=flags["output"],
        template=flags["template"],
        timestamps=flags["timestamps"],
        timezone=timezone_named(flags["timezone"] or "local"),
        colour=wants_colour(flags["color"], os.environ, is_terminal=stdout_is_terminal),
        escape=stdout_is_terminal,
        highlight=_patterns(flags["highlight"], "--highlight"),
    )
    tee_form = replace(
        form,
        format=flags["tee_format"] or form.format,
        template=None if flags["tee_format"] else form.template,
        colour=False,
        escape=False,
    )
    build_formatter(form, [])  # a wrong template shows before anything is asked of the service
    return LogsRequest(
        names=flags["targets"],
        selector=compile_selector(flags),
        all_groups=flags["all_resource_groups"],
        resource_groups=flags["resource_groups"],
        service_key_file=flags["service_key_file"],
        follow=flags["follow"],
        since=flags["since"],
        until=flags["until"],
        last=flags["last"],
        timeout_s=flags["timeout"],
        poll=PollSettings(
            pace=_PACE,
            lateness_s=lateness_s,
            drain_s=lateness_s if flags["drain"] is None else flags["drain"],
            discovery_interval_s=_DISCOVERY_INTERVAL_S,
        ),
        line_filter=LineFilter(
            include=_patterns(flags["include"], "--include"),
            exclude=_patterns(flags["exclude"], "--exclude"),
            containers=_patterns(flags["container"], "--container"),
            pods=_patterns(flags["pod"], "--pod"),
            streams=frozenset([flags["stream"]] if flags["stream"] else []),
        ),
        form=form,
        tee=flags["tee"],
        tee_form=tee_form,
        wait_s=flags["wait"],
        max_lines=flags["max_lines"],
        error_context=flags["on_error_context"],
        summary=flags["summary"],
        quiet=flags["quiet"],
        color=flags["color"],
    )


def _refuse_contradictions(flags: dict[str, Any]) -> None:
    if not flags["targets"] and not is_selecting(flags):
        raise ConfigError(
            "no TARGET given",
            hint="`tailer list` shows what there is; deployment/ID or execution/ID, "
            "or --executions and the like",
        )
    if flags["wait"] is not None and not flags["targets"]:
        raise ConfigError("--wait without TARGET", hint="-f waits for whatever matches")
    if flags["follow"] and flags["until"]:
        raise ConfigError(
            "--until and --follow contradict each other", hint="--timeout ends a follower"
        )
    if flags["template"] is not None and flags["output"] != "text":
        raise ConfigError(
            f"--template and --output {flags['output']} contradict each other",
            hint="give one of them",
        )
    _refuse_file_contradictions(flags)


def _refuse_file_contradictions(flags: dict[str, Any]) -> None:
    tee, summary = flags["tee"], flags["summary"]
    for flag, path in (("--tee", tee), ("--summary", summary)):
        if path == Path("-"):
            raise ConfigError(
                f"{flag} - would mix with the log lines on standard output", hint="name a file"
            )
    if tee is not None and summary is not None and _is_one_file(tee, summary):
        raise ConfigError(f"--tee and --summary are both {tee}", hint="name two files")
    if flags["tee_format"] and tee is None:
        raise ConfigError("--tee-format without --tee", hint="--tee names the file")


def _is_one_file(first: Path, second: Path) -> bool:
    """Also when it is not there yet, whatever links lead to it."""
    return first == second or os.path.realpath(first) == os.path.realpath(second)


def _patterns(texts: Sequence[str], flag: str) -> tuple[re.Pattern[str], ...]:
    return tuple(compile_pattern(text, flag) for text in texts)


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
