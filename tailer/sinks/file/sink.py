"""FileSink: the Sink contract for files. Everything that may wait for a disk runs in a thread."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import structlog
from anyio import CapacityLimiter, to_thread

from tailer.clock import Clock
from tailer.model import Batch, GapReason
from tailer.sinks.file.disk import THE_DISK, Disk, Tree, cannot_write
from tailer.sinks.file.paths import PathTemplate
from tailer.sinks.file.rotation import Housekeeper, Rotation
from tailer.sinks.file.writer import FileWriter
from tailer.sinks.formats.build import Formatter

log = structlog.get_logger()

_Result = TypeVar("_Result")

_TRACKED_FILES = 64  # about 8 kB of mark, which is stored with every write
_CLOSE_TIMEOUT_S = 10.0  # for compression; the next start does what is left


class FileSink:
    """A Sink that writes each line exactly once, also when the process is killed.

    `path` is a template of `paths`. 0 in the rotation settings means never (`keep_files`: keep
    all). No file stays open between two writes, so files may be moved away at any time;
    `reopen` announces such a move.

    `on_gap` is called on the event loop for a file that another process truncated, replaced or
    deleted: with its path, the reason and a detail. Writing continues with the file as it is.

    Resources: `open` may start a thread for closed files, which `aclose` ends.

    Errors: TransientSinkError for failures that a retry may solve, such as a full disk; files
    are rolled back before it is raised. SinkError for a failed sync and for irregular files.
    """

    def __init__(
        self,
        path: str,
        formatter: Formatter,
        *,
        name: str,
        clock: Clock,
        on_gap: Callable[[str, GapReason, str], None],
        rotate_bytes: int = 0,
        rotate_s: float = 0,
        keep_files: int = 0,
        compress: bool = False,
        tracked_files: int = _TRACKED_FILES,
        disk: Disk = THE_DISK,
    ) -> None:
        self.name = name
        self._template = PathTemplate(path)
        self._formatter = formatter
        self._clock = clock
        self._on_gap = on_gap
        self._rotation = Rotation(
            max_bytes=rotate_bytes, every_s=rotate_s, keep_files=keep_files, compress=compress
        )
        self._tracked_files = tracked_files
        self._tree = Tree(disk, self._template.base)
        self._limiter = CapacityLimiter(1)
        self._housekeeper: Housekeeper | None = None
        self._writer: FileWriter | None = None
        self._found_gaps: list[tuple[str, str]] = []  # by the thread
        self._reported_gaps: set[tuple[str, str]] = set()  # since the last successful write

    async def open(self, mark: bytes | None) -> bytes | None:
        await self.aclose()
        self._housekeeper = Housekeeper(self._tree, self._rotation)
        writer = FileWriter(
            self.name,
            self._template,
            self._formatter,
            tree=self._tree,
            rotation=self._rotation,
            housekeeper=self._housekeeper,
            tracked_files=self._tracked_files,
            report_gap=lambda path, detail: self._found_gaps.append((path, detail)),
        )
        now_ns = self._clock.wall_ns()
        await self._in_thread(lambda: writer.recover(mark, now_ns=now_ns))
        self._writer = writer
        return writer.mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        assert self._writer is not None, "open first"
        writer, now_ns = self._writer, self._clock.wall_ns()
        mark = await self._in_thread(lambda: writer.write(batches, now_ns=now_ns))
        self._reported_gaps.clear()
        return mark

    async def reopen(self) -> None:
        """Expect moved files, as after logrotate's SIGHUP: they are not reported as gaps.

        May be called at any time. Raises: SinkError.
        """
        if self._writer is not None:  # `open` checks all files anyway
            await self._in_thread(self._writer.forget_replaced)

    async def aclose(self) -> None:
        housekeeper, self._housekeeper = self._housekeeper, None
        self._writer = None
        if housekeeper is not None:
            with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                await to_thread.run_sync(housekeeper.close, _CLOSE_TIMEOUT_S, limiter=self._limiter)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        def translated() -> _Result:
            try:
                return work()
            except OSError as error:
                raise cannot_write(error) from error

        try:
            return await to_thread.run_sync(translated, limiter=self._limiter)
        finally:
            self._report_gaps()

    def _report_gaps(self) -> None:
        found, self._found_gaps = self._found_gaps, []
        for path, detail in found:
            if (path, detail) in self._reported_gaps:
                continue  # found again by a retried write
            self._reported_gaps.add((path, detail))
            full_path = f"{self._tree.base}/{path}"
            log.error("file_truncated", sink=self.name, file=full_path, error=detail)
            self._on_gap(full_path, GapReason.FILE_TRUNCATED, detail)
