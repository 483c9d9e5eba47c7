"""A sink in memory with a limited capacity and a reader that can leave."""

from collections.abc import Sequence

import anyio

from tailer.errors import ReaderGoneError
from tailer.model import Batch
from tailer.sinks.lines import message_text


class MemorySink:
    """Holds `capacity_lines` until `take` is called. Its mark counts the lines written."""

    def __init__(self, *, capacity_lines: int = 1000) -> None:
        self.name = "memory"
        self._capacity_lines = capacity_lines
        self._held: list[str] = []
        self._written = 0
        self._reader_gone = False
        self._news = anyio.Event()

    async def open(self, mark: bytes | None) -> bytes | None:
        self._written = int(mark or 0)
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        for entry in (entry for batch in batches for entry in batch.entries):
            while len(self._held) >= self._capacity_lines and not self._reader_gone:
                await self._news.wait()
            if self._reader_gone:
                raise ReaderGoneError("memory: the reader has left")
            self._held.append(message_text(entry.msg))
            self._written += 1
        return str(self._written).encode()

    async def aclose(self) -> None:
        """Nothing was opened."""

    def take(self) -> list[str]:
        taken, self._held = self._held, []
        self._notify()
        return taken

    def lose_reader(self) -> None:
        self._reader_gone = True
        self._notify()

    def _notify(self) -> None:
        self._news.set()
        self._news = anyio.Event()
