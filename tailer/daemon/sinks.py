"""Build sinks from config; one delivery task per sink; add and remove.

From the configuration of sinks to sinks: which implementation, which lines.

The sinks of a service: one task each, which come and go while the others go on.
"""

import glob
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Protocol, assert_never

import anyio
import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import Config, FileSection, SinkSection, SyslogSection
from tailer.config.fields import PATH_FIELDS, parse_template
from tailer.daemon.tasks import TaskSet
from tailer.delivery import BatchQueue, deliver
from tailer.errors import SinkError, SinkUnavailableError
from tailer.health.health import Health
from tailer.health.parts import SinkHealth
from tailer.model import Batch, GapReason
from tailer.sinks.contract import Reopening, Sink
from tailer.sinks.file.sink import FileSink
from tailer.sinks.formats.build import FormatSettings, build_formatter
from tailer.sinks.lines import LineFilter
from tailer.sinks.syslog.build import build_syslog_sink
from tailer.spool.contract import SinkPosition

log = structlog.get_logger()

_CLOSED = re.compile(r"\.[0-9]{6,}\Z")  # the number of a closed file stands before its extension


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """A sink and which lines it wants. `drops`: it would rather lose lines than hold up all.

    `section` is what it was made from, if it was made from a configuration.
    """

    sink: Sink
    wanted: Callable[[Batch], Batch]
    drops: bool
    section: SinkSection | None = None

    def is_like(self, other: "ConfiguredSink") -> bool:
        """Whether nothing would change, were the other one in its place."""
        is_alike = self.section is not None and self.section == other.section
        return is_alike or self.sink is other.sink


def build_outlets(config: Config, *, clock: Clock, health: Health) -> tuple[ConfiguredSink, ...]:
    """An outlet for each sink of the configuration. Opens nothing."""
    return tuple(
        ConfiguredSink(
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
        log.error("gap", sink=section.name, where=where, reason=reason.value, error=detail)

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


_RETRY_S = 30.0  # until a sink that could not be opened is tried again
_IN_HAND_S = 10.0  # that a sink gets to bring home what it has in hand, before it is ended


class SinkRegistry(BatchQueue, Protocol):
    """The spool, as far as sinks are concerned. `droppers` go without lines when it is full."""

    droppers: Collection[str]

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]: ...


class RunningSinks:
    """`outlets` are those that run, by name."""

    def __init__(
        self, tasks: TaskGroup, *, spool: SinkRegistry, clock: Clock, health: Health
    ) -> None:
        self._tasks = TaskSet(tasks)
        self._spool = spool
        self._clock = clock
        self._health = health
        self._taps: dict[str, _Tap] = {}
        self.outlets: dict[str, ConfiguredSink] = {}

    def start(self, outlet: ConfiguredSink, *, strict: bool = False) -> None:
        """With `strict`, that it cannot be opened ends everything; else it is tried again."""
        name = outlet.sink.name
        tap = _Tap(self._spool)
        self.outlets[name], self._taps[name] = outlet, tap
        of_sink = self._health.of_sink(name)
        self._tasks.hire(name, partial(_deliver, outlet, tap, self._clock, of_sink, strict=strict))

    async def change(self, outlets: Sequence[ConfiguredSink]) -> None:
        """Have these from now on. What is as it was is not touched; a changed one keeps its place.

        One that ends first brings home what it has in hand, if that is soon.
        """
        wanted = {outlet.sink.name: outlet for outlet in outlets}
        gone = [name for name in self.outlets if name not in wanted]
        new = [name for name in wanted if name not in self.outlets]
        changed = [
            name
            for name, outlet in self.outlets.items()
            if name in wanted and not outlet.is_like(wanted[name])
        ]
        if not (gone or new or changed):
            return
        await self._stop([*gone, *changed])
        for name in gone:
            self._health.sinks.pop(name, None)
        abandoned = await self._spool.change_sinks(gone=gone, new=new)
        for name in gone:  # only now: until then the spool may have dropped lines of theirs
            del self.outlets[name]
        self._spool.droppers = [name for name, outlet in wanted.items() if outlet.drops]
        for name in [*changed, *new]:
            self.start(wanted[name])
        log_abandoned(abandoned, self._health)
        log.info("sinks_changed", removed=gone, changed=changed, added=new)

    async def reopen(self) -> None:
        """Files may have been moved away on purpose, as logrotate does."""
        for outlet in self.outlets.values():
            if isinstance(outlet.sink, Reopening):
                try:
                    await outlet.sink.reopen()
                except SinkError as error:
                    log.warning("reopen_failed", sink=outlet.sink.name, error=str(error))

    def note_drop(self, sink: str, batch: Batch) -> None:
        """The spool is full, and `sink` goes without."""
        lines = len(self.outlets[sink].wanted(batch).entries)
        if not lines:
            return  # the sink would not have had any of them
        self._health.sink_gaps[GapReason.SINK_DROPPED] += 1
        log.error(
            "gap",
            sink=sink,
            target=batch.target.name,
            reason=GapReason.SINK_DROPPED.value,
            error=f"{lines} lines dropped: the spool is full and the sink does not wait",
        )

    async def _stop(self, names: Collection[str]) -> None:
        for name in names:
            self._taps.pop(name).close()
        with anyio.move_on_after(_IN_HAND_S):
            await self._tasks.wait_for(names)
        await self._tasks.dismiss(names)


def log_abandoned(abandoned: Mapping[str, int], health: Health) -> None:
    """Of sinks that are no more: the batches that they had still to take."""
    for sink, batches in abandoned.items():
        if batches:
            health.sink_gaps[GapReason.SINK_DROPPED] += 1
            detail = f"the sink is no more; {batches} batches that it had still to take are dropped"
            log.error("gap", sink=sink, reason=GapReason.SINK_DROPPED.value, error=detail)


class _Tap:
    """The spool as one delivery sees it: once closed, that looks like the end of all lines."""

    def __init__(self, spool: BatchQueue) -> None:
        self._spool = spool
        self._waiting: anyio.CancelScope | None = None
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def sink_position(self, sink: str) -> SinkPosition:
        return await self._spool.sink_position(sink)

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        if not self._is_closed:
            with anyio.CancelScope() as self._waiting:
                return await self._spool.next_batches(sink, max_lines=max_lines)
        return ()

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        await self._spool.commit(sink, position, mark)


async def _deliver(
    outlet: ConfiguredSink, tap: BatchQueue, clock: Clock, health: SinkHealth, *, strict: bool
) -> None:
    if strict:
        await _try_to_open(outlet, tap)
    while True:
        try:
            await deliver(outlet.sink, tap, clock=clock, wanted=outlet.wanted, health=health)
        except SinkUnavailableError as error:
            if strict:
                raise
            log.error("sink_failed", sink=outlet.sink.name, error=str(error), retry_in_s=_RETRY_S)  # noqa: TRY400 - no bug
            health.fail(str(error), now_s=clock.monotonic_s(), retry_in_s=_RETRY_S)
            if await _is_drained_within(_RETRY_S, outlet, tap, clock):
                return
        else:
            return


async def _is_drained_within(
    seconds: float, outlet: ConfiguredSink, tap: BatchQueue, clock: Clock
) -> bool:
    """Waits so long, or until nothing will ever come for this sink: then it need not open."""
    with anyio.move_on_after(seconds):
        while await tap.next_batches(outlet.sink.name, max_lines=1):
            await clock.sleep(1.0)
        return True
    return False


async def _try_to_open(outlet: ConfiguredSink, tap: BatchQueue) -> None:
    """Open it and close it again: what `deliver` would wait for, a right say, is an end here."""
    place = await tap.sink_position(outlet.sink.name)
    try:
        await outlet.sink.open(place.mark)
    except SinkError as error:
        raise SinkUnavailableError(error.message, hint=error.hint) from error
    finally:
        await outlet.sink.aclose()
