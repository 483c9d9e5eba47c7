"""Record what was printed: counts, time span and last lines of each target; limit --max-lines.

Pure, except for the event that --max-lines is reached.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from tailer.logs.outcome import Cause
from tailer.model import Batch, Target
from tailer.sinks.lines import message_text, stream_of, without_cri

_MAX_LINE_CHARACTERS = 2000  # of one kept line
_LINE_OVERHEAD = 150  # memory that a kept line takes in addition
_MAX_KEPT_CHARACTERS = 64 * 1024 * 1024  # of the last lines of all targets


class LastLines:
    """The last `count` lines by their own time, in any order of arrival. Long lines are cut."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[int, int, str]] = []
        self._recorded = 0
        self.size = 0

    def record(self, time_ns: int, message: str) -> None:
        if len(message) > _MAX_LINE_CHARACTERS:
            message = f"{message[:_MAX_LINE_CHARACTERS]}…"
        self._recorded += 1  # keeps lines of the same time in order of arrival
        heapq.heappush(self._heap, (time_ns, self._recorded, message))
        self.size += len(message) + _LINE_OVERHEAD
        if len(self._heap) > self._count:
            _, _, oldest = heapq.heappop(self._heap)
            self.size -= len(oldest) + _LINE_OVERHEAD

    def clear(self) -> None:
        self._heap.clear()
        self.size = 0

    @property
    def lines(self) -> list[str]:
        return [message for _, _, message in sorted(self._heap)]


@dataclass(slots=True)
class Printed:
    """Printed lines of one target. Times are None while there are no lines."""

    on_stderr: LastLines
    on_any: LastLines
    lines: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def size(self) -> int:
        """Memory of its last lines."""
        return self.on_stderr.size + self.on_any.size


@dataclass(slots=True)
class PrintedLines:
    """Keeps `context` last lines of each target; `max_lines` is the limit of --max-lines.

    Beyond `max_size`, the last lines of the target that has been silent longest are dropped.
    """

    context: int = 0
    max_lines: int | None = None
    max_size: int = _MAX_KEPT_CHARACTERS
    targets: dict[Target, Printed] = field(default_factory=dict)
    lines: int = 0
    _limit_reached: anyio.Event = field(default_factory=anyio.Event)
    _size: int = 0
    _with_lines: dict[Target, None] = field(default_factory=dict)  # silent for longest first

    def of(self, target: Target) -> Printed:
        return self.targets.setdefault(
            target, Printed(LastLines(self.context), LastLines(self.context))
        )

    def record(self, batch: Batch) -> None:
        """Record that the lines of `batch` are printed."""
        if not batch.entries:
            return
        printed = self.of(batch.target)
        printed.lines += len(batch.entries)
        first_ns, last_ns = min(batch.times_ns), max(batch.times_ns)
        printed.first_ns = min(first_ns, first_ns if printed.first_ns is None else printed.first_ns)
        printed.last_ns = max(last_ns, last_ns if printed.last_ns is None else printed.last_ns)
        self.lines += len(batch.entries)
        if self.context:
            self._keep(batch, printed)
        if self.max_lines is not None and self.lines >= self.max_lines:
            self._limit_reached.set()

    def _keep(self, batch: Batch, printed: Printed) -> None:
        self._size -= printed.size
        for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True):
            message, _ = without_cri(message_text(entry.msg))
            printed.on_any.record(time_ns, message)
            if stream_of(entry) == "stderr":
                printed.on_stderr.record(time_ns, message)
        self._size += printed.size
        self._with_lines.pop(batch.target, None)
        self._with_lines[batch.target] = None
        while self._size > self.max_size and len(self._with_lines) > 1:
            silent = next(iter(self._with_lines))
            del self._with_lines[silent]
            self._size -= self.targets[silent].size
            self.targets[silent].on_any.clear()
            self.targets[silent].on_stderr.clear()

    async def limit_reached(self) -> Cause:
        """A Stop: `max_lines` are printed."""
        await self._limit_reached.wait()
        return Cause.MAX_LINES

    def limited(self, wanted: Callable[[Batch], Batch]) -> Callable[[Batch], Batch]:
        """`wanted` for one sink, limited to `max_lines` lines in all."""
        if self.max_lines is None:
            return wanted
        left = self.max_lines

        def narrow(batch: Batch) -> Batch:
            nonlocal left
            batch = wanted(batch)
            if len(batch.entries) > left:
                batch = replace(batch, entries=batch.entries[:left], times_ns=batch.times_ns[:left])
            left -= len(batch.entries)
            return batch

        return narrow
