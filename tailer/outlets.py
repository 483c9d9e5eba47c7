"""From the configuration of sinks to sinks: which implementation, which lines."""

import glob
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import assert_never

import structlog

from tailer.clock import Clock
from tailer.config import Config, FileSection, SinkSection, SyslogSection
from tailer.config.fields import PATH_FIELDS, parse_template
from tailer.health import Health
from tailer.model import Batch, GapReason
from tailer.sinks.contract import Sink
from tailer.sinks.file.sink import FileSink
from tailer.sinks.format import FormatSettings, build_formatter
from tailer.sinks.line_filter import LineFilter
from tailer.sinks.syslog.building import build_syslog_sink

log = structlog.get_logger()

_CLOSED = re.compile(r"\.[0-9]{6,}\Z")  # the number of a closed file stands before its extension


@dataclass(frozen=True, slots=True)
class Outlet:
    """A sink and which lines it wants. `drops`: it would rather lose lines than hold up all.

    `section` is what it was made from, if it was made from a configuration.
    """

    sink: Sink
    wanted: Callable[[Batch], Batch]
    drops: bool
    section: SinkSection | None = None

    def is_like(self, other: "Outlet") -> bool:
        """Whether nothing would change, were the other one in its place."""
        is_alike = self.section is not None and self.section == other.section
        return is_alike or self.sink is other.sink


def build_outlets(config: Config, *, clock: Clock, health: Health) -> tuple[Outlet, ...]:
    """An outlet for each sink of the configuration. Opens nothing."""
    return tuple(
        Outlet(
            _sink(section, clock=clock, health=health),
            _wanted(section),
            drops=section.when_full == "drop_oldest",
            section=section,
        )
        for section in config.sinks
    )


def _sink(section: SinkSection, *, clock: Clock, health: Health) -> Sink:
    def note_gap(where: str, reason: GapReason, detail: str) -> None:
        health.sink_gaps[reason] += 1
        log.error("gap", sink=section.name, where=where, reason=reason.value, detail=detail)

    match section.to:
        case FileSection() as file:
            return FileSink(
                file.path,
                build_formatter(
                    FormatSettings(format=file.format, template=file.template, timestamps=True), []
                ),
                name=section.name,
                clock=clock,
                on_gap=note_gap,
                rotate_bytes=file.rotate_bytes,
                rotate_s=file.rotate_s,
                keep_files=file.keep_files,
                compress=file.compress,
            )
        case SyslogSection() as syslog:
            return build_syslog_sink(
                syslog,
                name=section.name,
                clock=clock,
                scenario_of=health.scenario_of,
                on_gap=note_gap,
            )
        case _:
            assert_never(section.to)


def _wanted(section: SinkSection) -> Callable[[Batch], Batch]:
    lines = LineFilter(
        include=section.include,
        exclude=section.exclude,
        containers=section.containers,
        streams=frozenset(section.streams),
    )
    targets = frozenset(section.targets)

    def wanted(batch: Batch) -> Batch:
        if targets and not targets & {batch.target.name, batch.target.id}:
            return replace(batch, entries=(), times_ns=())
        return lines.narrow(batch)

    return wanted


def newest_file_ns(config: Config, now_ns: int) -> int | None:
    """When any file of the file sinks was last written, by the disk's clock. Reads the disk.

    Closed files do not count, as compression writes them again; nor do files of others, nor
    one dated after `now_ns`: the clock was set, and it says nothing.
    """
    patterns = [
        "".join(
            glob.escape(piece) if isinstance(piece, str) else "*"
            for piece in parse_template(section.to.path, PATH_FIELDS)
        )
        for section in config.sinks
        if isinstance(section.to, FileSection)
    ]
    times_ns = []
    for pattern in patterns:
        for name in glob.glob(pattern):  # noqa: PTH207 - Path.glob takes no absolute ones
            with suppress(FileNotFoundError):
                status = Path(name).stat()
                if S_ISREG(status.st_mode) and not _CLOSED.search(Path(name).stem):
                    times_ns.append(status.st_mtime_ns)
    return max((time_ns for time_ns in times_ns if time_ns <= now_ns), default=None)
