"""Lines to whoever reads our standard output, or the like: a person, a pipe, a file."""

from collections.abc import Callable, Sequence

from tailer.model import Batch
from tailer.sinks.descriptor import Descriptor
from tailer.sinks.format import Formatter


class StdoutSink:
    """A Sink over a descriptor that is open already, and stays so. It has no marks.

    Written batch by batch and never held back, pipes included. `on_written` is told of
    each batch that is out of our hands.

    Errors: ReaderGoneError once the reader has left, which is how `| head` says that it
    has seen enough; SinkError when the disk is full or the descriptor is no use.
    """

    def __init__(
        self,
        fd: int,
        formatter: Formatter,
        *,
        name: str = "stdout",
        fd_folder: str = "/proc/self/fd",
        on_written: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._on_written = on_written
        self._descriptor = Descriptor(fd, name=name, fd_folder=fd_folder)
        self._formatter = formatter

    async def open(self, mark: bytes | None) -> bytes | None:
        self._descriptor.open()
        return None

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        for batch in batches:
            await self._descriptor.write(self._formatter(batch))
            self._on_written(batch)
        return None

    async def reader_gone(self) -> None:
        """Returns once the reader has left, so that `| head` ends though the target is quiet."""
        await self._descriptor.reader_gone()

    async def aclose(self) -> None:
        self._descriptor.close()
