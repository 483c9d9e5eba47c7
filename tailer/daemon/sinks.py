"""The sinks of `tailer run`: build them from the configuration, run one delivery task for each."""

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
from tailer.delivery import deliver
from tailer.errors import SinkError, SinkUnavailableError
from tailer.health.health import Health
from tailer.model import Batch, GapReason
from tailer.sinks.contract import Sink
from tailer.sinks.file.sink import FileSink
from tailer.sinks.formats.build import FormatSettings, build_formatter
from tailer.sinks.lines import LineFilter
from tailer.sinks.syslog.build import build_syslog_sink
from tailer.spool.contract import BatchQueue, Spool

log = structlog.get_logger()

_OPEN_RETRY_S = 30.0  # pause before a sink that could not be opened is opened again
_FINISH_TIMEOUT_S = 10.0  # for writes in progress of a removed or changed sink
_CLOSED = re.compile(r"\.[0-9]{6,}\Z")  # the number of a closed file precedes its extension


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """A sink, and `wanted`, which narrows a batch to the lines for this sink.

    `drops`: when the spool is full, the sink loses its oldest lines (when_full = "drop_oldest").
    `section` is the sink's configuration; None for a sink that a test has built.
    """

    sink: Sink
    wanted: Callable[[Batch], Batch]
    drops: bool
    section: SinkSection | None = None

    def is_same_as(self, other: "ConfiguredSink") -> bool:
        has_same_section = self.section is not None and self.section == other.section
        return has_same_section or self.sink is other.sink


def build_sinks(config: Config, *, clock: Clock, health: Health) -> tuple[ConfiguredSink, ...]:
    """Build the sinks of the configuration, without opening them."""
    return tuple(
        ConfiguredSink(
            _build_sink(section, clock=clock, health=health),
            _build_filter(section),
            drops=section.when_full == "drop_oldest",
            section=section,
        )
        for section in config.sinks
    )


def _build_sink(section: SinkSection, *, clock: Clock, health: Health) -> Sink:
    def report_gap(where: str, reason: GapReason, detail: str) -> None:
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
                on_gap=report_gap,
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
                on_gap=report_gap,
            )
        case _:
            assert_never(section.to)


def _build_filter(section: SinkSection) -> Callable[[Batch], Batch]:
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
    """Newest modification time of the files of all file sinks. Blocks on the disk.

    Skips closed files, because compression rewrites them, and files dated after `now_ns`,
    because the clock was set back since.
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


class SinkRegistry(Spool, Protocol):
    """A spool that drops the oldest lines of the sinks in `droppers` when it is full."""

    droppers: Collection[str]


class _SinkQueue:
    """The spool for one sink: after `stop`, `next_batches` returns nothing more.

    The delivery then ends after the write in progress. Canceling the delivery would
    interrupt that write, and a syslog sink would send a part of its lines twice.
    """

    def __init__(self, spool: BatchQueue) -> None:
        self.sink_position, self.commit = spool.sink_position, spool.commit
        self._next_batches = spool.next_batches
        self._waiting = anyio.CancelScope()
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True
        self._waiting.cancel()

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        if not self._is_stopped:
            with anyio.CancelScope() as self._waiting:
                return await self._next_batches(sink, max_lines=max_lines)
        return ()


class RunningSinks:
    """The delivery tasks in `tasks`. `configured` has the running sinks by name."""

    def __init__(
        self, tasks: TaskGroup, *, spool: SinkRegistry, clock: Clock, health: Health
    ) -> None:
        self._tasks = TaskSet[str](tasks)
        self._spool = spool
        self._clock = clock
        self._health = health
        self._queues: dict[str, _SinkQueue] = {}
        self.configured: dict[str, ConfiguredSink] = {}

    def start(self, sink: ConfiguredSink, *, strict: bool = False) -> None:
        """With `strict`, a sink that cannot be opened raises; otherwise it is retried."""
        name = sink.sink.name
        self.configured[name], self._queues[name] = sink, _SinkQueue(self._spool)
        self._health.of_sink(name)
        self._tasks.start(name, partial(self._deliver, sink, self._queues[name], strict=strict))

    async def change(self, sinks: Sequence[ConfiguredSink]) -> None:
        """Replace the running sinks by `sinks`; unchanged sinks are not interrupted.

        A removed or changed sink gets up to 10 s to finish writes in progress. A changed
        sink keeps its position in the spool.
        """
        wanted = {sink.sink.name: sink for sink in sinks}
        removed = [name for name in self.configured if name not in wanted]
        added = [name for name in wanted if name not in self.configured]
        changed = [
            name
            for name, sink in self.configured.items()
            if name in wanted and not sink.is_same_as(wanted[name])
        ]
        if not (removed or added or changed):
            return
        stopping = [*removed, *changed]
        for name in stopping:
            self._queues.pop(name).stop()
        with anyio.move_on_after(_FINISH_TIMEOUT_S):
            await self._tasks.wait(stopping)
        await self._tasks.cancel(stopping)
        for name in removed:
            self._health.sinks.pop(name, None)
        undelivered = await self._spool.change_sinks(gone=removed, new=added)
        for name in removed:  # not earlier: until change_sinks, the spool may report drops of it
            del self.configured[name]
        self._spool.droppers = [name for name, sink in wanted.items() if sink.drops]
        for name in [*changed, *added]:
            self.start(wanted[name])
        report_discarded(undelivered, self._health)
        log.info("sinks_changed", removed=removed, changed=changed, added=added)

    async def reopen(self) -> None:
        """Accept that files were moved away, as logrotate does before its SIGHUP."""
        for configured in self.configured.values():
            if isinstance(configured.sink, FileSink):
                try:
                    await configured.sink.reopen()
                except SinkError as error:
                    log.warning("reopen_failed", sink=configured.sink.name, error=str(error))

    def report_drop(self, sink: str, batch: Batch) -> None:
        """Report the lines of `batch` that a full spool dropped for `sink`, if it wanted any."""
        count = len(self.configured[sink].wanted(batch).entries)
        if count:
            dropped = f"{count} oldest line{'' if count == 1 else 's'}"
            _report_sink_gap(
                self._health,
                sink=sink,
                target=batch.target.name,
                error=f'spool full: dropped the {dropped} of this sink (when_full = "drop_oldest")',
            )

    async def _deliver(
        self, configured: ConfiguredSink, queue: _SinkQueue, *, strict: bool
    ) -> None:
        sink, health = configured.sink, self._health.of_sink(configured.sink.name)
        if strict:
            await self._open_once(sink)
        while True:
            try:
                await deliver(
                    sink, queue, clock=self._clock, wanted=configured.wanted, health=health
                )
            except SinkUnavailableError as error:
                if strict:
                    raise
                log.error("sink_failed", sink=sink.name, error=str(error), retry_in_s=_OPEN_RETRY_S)  # noqa: TRY400 - no bug
                now_s = self._clock.monotonic_s()
                health.fail(str(error), now_s=now_s, retry_in_s=_OPEN_RETRY_S)
            else:
                return
            with anyio.move_on_after(_OPEN_RETRY_S):
                while await queue.next_batches(sink.name, max_lines=1):
                    await self._clock.sleep(1.0)
                return  # the input is closed and nothing is pending: no need to open the sink

    async def _open_once(self, sink: Sink) -> None:
        """Open and close the sink. A transient error, which `deliver` would retry, raises here."""
        position = await self._spool.sink_position(sink.name)
        try:
            await sink.open(position.mark)
        except SinkError as error:
            raise SinkUnavailableError(error.message, hint=error.hint) from error
        finally:
            await sink.aclose()


def report_discarded(undelivered: Mapping[str, int], health: Health) -> None:
    """Report the undelivered batches of removed sinks, by name of the sink."""
    for sink, count in undelivered.items():
        if count:
            batches = "1 undelivered batch" if count == 1 else f"{count} undelivered batches"
            _report_sink_gap(health, sink=sink, error=f"sink removed; {batches} discarded")


def _report_sink_gap(health: Health, **fields: str) -> None:
    health.sink_gaps[GapReason.SINK_DROPPED] += 1
    log.error("gap", reason=GapReason.SINK_DROPPED.value, **fields)
