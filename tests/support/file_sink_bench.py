"""File sinks in a folder, as tests of one behavior need them."""

from pathlib import Path
from typing import Any

from tailer.clock import Clock
from tailer.model import GapReason
from tailer.sinks.file.sink import FileSink
from tailer.sinks.formats.structured import format_raw

Gaps = list[tuple[str, GapReason, str]]


class Bench:
    """Makes sinks in one folder, and knows of their gaps."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.gaps: Gaps = []
        self._clock = clock
        self._sinks: list[FileSink] = []

    async def opened(
        self, template: str = "{id}.log", mark: bytes | None = None, **settings: Any
    ) -> FileSink:
        sink = FileSink(
            f"{self.folder}/{template}",
            format_raw,
            name="file",
            clock=self._clock,
            on_gap=lambda *gap: self.gaps.append(gap),
            **settings,
        )
        self._sinks.append(sink)
        await sink.open(mark)
        return sink

    async def close(self) -> None:
        for sink in self._sinks:
            await sink.aclose()

    def names(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def joined(self, stem: str) -> str:
        """What the file and its closed ones say together."""
        names = (name for name in self.names() if name.startswith(f"{stem}."))
        return "".join((self.folder / name).read_text() for name in names)
