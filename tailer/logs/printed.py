"""What was really printed: how much, from when to when, and the last words of each target.

Pure, but for the event that enough has been printed.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from tailer.logs.outcome import Cause
from tailer.model import Batch, Target
from tailer.sinks.lines import message_text, stream_of, without_cri

_MAX_CHARACTERS = 2000  # of one line that is kept for its last words
_LINE_OVERHEAD = 150  # what keeping it costs besides
MOST_KEPT = 64 * 1024 * 1024  # characters of all last words; those that spoke last keep theirs


class LastLines:
    """The last lines by their own time, however late they came; cut where they are too long."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[int, int, str]] = []
        self._noted = 0
        self.size = 0

    def note(self, time_ns: int, message: str) -> None:
        if len(message) > _MAX_CHARACTERS:
            message = f"{message[:_MAX_CHARACTERS]}…"
        self._noted += 1
        heapq.heappush(self._heap, (time_ns, self._noted, message))
        self.size += len(message) + _LINE_OVERHEAD
        if len(self._heap) > self._count:
            _, _, oldest = heapq.heappop(self._heap)
            self.size -= len(oldest) + _LINE_OVERHEAD

    def forget(self) -> None:
        self._heap.clear()
        self.size = 0

    @property
    def lines(self) -> list[str]:
        return [message for _, _, message in sorted(self._heap)]


@dataclass(slots=True)
class Printed:
    """Of one target. Times are None as long as there are no lines."""

    on_stderr: LastLines
    on_any: LastLines
    lines: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def size(self) -> int:
        """Of its last words."""
        return self.on_stderr.size + self.on_any.size

    def note(self, batch: Batch) -> None:
        self.lines += len(batch.entries)
        first_ns, last_ns = min(batch.times_ns), max(batch.times_ns)
        self.first_ns = first_ns if self.first_ns is None else min(self.first_ns, first_ns)
        self.last_ns = last_ns if self.last_ns is None else max(self.last_ns, last_ns)


@dataclass(slots=True)
class PrintedLines:
    """`context`: how many last lines of each target are kept. `max_lines`: how many are enough.

    Of more last words than `most_kept`, those go whose target has been silent for longest.
    """

    context: int = 0
    max_lines: int | None = None
    most_kept: int = MOST_KEPT
    targets: dict[Target, Printed] = field(default_factory=dict)
    lines: int = 0
    _enough: anyio.Event = field(default_factory=anyio.Event)
    _kept: int = 0
    _speakers: dict[Target, None] = field(default_factory=dict)  # the last one last

    def of(self, target: Target) -> Printed:
        return self.targets.setdefault(
            target, Printed(LastLines(self.context), LastLines(self.context))
        )

    def note(self, batch: Batch) -> None:
        """These lines have been printed."""
        if not batch.entries:
            return
        printed = self.of(batch.target)
        printed.note(batch)
        self.lines += len(batch.entries)
        if self.context:
            size = printed.size
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True):
                message, _ = without_cri(message_text(entry.msg))
                printed.on_any.note(time_ns, message)
                if stream_of(entry) == "stderr":
                    printed.on_stderr.note(time_ns, message)
            self._kept += printed.size - size
            self._speakers.pop(batch.target, None)
            self._speakers[batch.target] = None
            self._forget_the_silent()
        if self.max_lines is not None and self.lines >= self.max_lines:
            self._enough.set()

    def _forget_the_silent(self) -> None:
        while self._kept > self.most_kept and len(self._speakers) > 1:
            silent = next(iter(self._speakers))
            del self._speakers[silent]
            printed = self.targets[silent]
            self._kept -= printed.size
            for words in (printed.on_any, printed.on_stderr):
                words.forget()

    async def enough(self) -> Cause:
        """A Stop."""
        await self._enough.wait()
        return Cause.MAX_LINES

    def limited(self, wanted: Callable[[Batch], Batch]) -> Callable[[Batch], Batch]:
        """`wanted`, but not more than enough. For one outlet: the next one counts for itself."""
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
