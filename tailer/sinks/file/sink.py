"""The file sink as delivery sees it; all that may wait for a disk happens in a thread."""

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

_REMEMBERED_FILES = 64  # some 8 kB of mark, which is stored with every write
_PATIENCE_S = 10.0  # for compression when the sink is closed; what is left waits for the next start


class FileSink:
    """A Sink that writes each line once, whatever is killed when.

    `path` is a template of `path_template`, 0 in the rotation settings means never (and
    for `keep_files`: all). No file stays open between two writes, so files may be moved
    away at any time; `reopen` says that this was meant.

    `on_gap` is told, on the event loop, of a file that somebody cut, replaced or deleted:
    its path, the reason, and what is known. Writing then goes on with the file as it is.

    Resources: `open` may start a thread for closed files, which `aclose` ends.

    Errors: TransientSinkError for what may pass, such as a full disk; files are cut back
    before it is raised. SinkError for a failed sync and for what is no regular file.
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
        remembered_files: int = _REMEMBERED_FILES,
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
        self._remembered_files = remembered_files
        self._tree = Tree(disk, self._template.base)
        self._limiter = CapacityLimiter(1)
        self._housekeeper: Housekeeper | None = None
        self._writer: FileWriter | None = None
        self._found: list[tuple[str, str]] = []  # gaps that the thread has found
        self._told: set[tuple[str, str]] = set()  # since the last write that went through

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
            remembered_files=self._remembered_files,
            tell_gap=lambda path, detail: self._found.append((path, detail)),
        )
        now_ns = self._clock.wall_ns()
        await self._in_thread(lambda: writer.begin(mark, now_ns=now_ns))
        self._writer = writer
        return writer.mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        writer, now_ns = self._opened(), self._clock.wall_ns()
        mark = await self._in_thread(lambda: writer.write(batches, now_ns=now_ns))
        self._told.clear()
        return mark

    async def reopen(self) -> None:
        """Somebody has moved files away on purpose, as logrotate does before its SIGHUP."""
        if self._writer is not None:  # else it looks at all files anew when it is opened
            await self._in_thread(self._writer.forget_replaced)

    async def aclose(self) -> None:
        housekeeper, self._housekeeper = self._housekeeper, None
        self._writer = None
        if housekeeper is not None:
            with anyio.move_on_after(_PATIENCE_S, shield=True):
                await to_thread.run_sync(housekeeper.close, _PATIENCE_S, limiter=self._limiter)

    def _opened(self) -> FileWriter:
        assert self._writer is not None, "open first"
        return self._writer

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        def translated() -> _Result:
            try:
                return work()
            except OSError as error:
                raise cannot_write(error) from error

        try:
            return await to_thread.run_sync(translated, limiter=self._limiter)
        finally:
            self._tell_gaps()

    def _tell_gaps(self) -> None:
        found, self._found = self._found, []
        for path, detail in found:
            if (path, detail) in self._told:
                continue  # found again, because writing was tried again
            self._told.add((path, detail))
            shown = f"{self._tree.base}/{path}"
            log.error("file_truncated", sink=self.name, file=shown, error=detail)
            self._on_gap(shown, GapReason.FILE_TRUNCATED, detail)
