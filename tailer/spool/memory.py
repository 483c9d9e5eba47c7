"""The spool of a terminal: the whole contract, but nothing survives the process."""

from collections import deque
from collections.abc import Sequence

import anyio

from tailer.model import Batch, Entry, Target
from tailer.spool.contract import Place, SinkPlace

# A line's fixed cost in memory, measured: the struct, its timestamp, its times and keys.
_LINE_OVERHEAD_BYTES = 300


class MemorySpool:
    """Keeps at most `max_bytes` of undelivered lines, or one batch if that is larger.

    `sinks` are the names of all that must take a batch before it may go.
    """

    def __init__(self, *, sinks: Sequence[str], max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._undelivered_bytes = 0
        self._last_position = 0
        self._watermarks: dict[Target, int] = {}
        self._kept: dict[Target, deque[Batch]] = {}
        self._pending: dict[str, deque[Batch]] = {sink: deque() for sink in sinks}
        self._places = {sink: SinkPlace(0, None) for sink in sinks}
        self._is_closed = False
        self._changed = anyio.Event()

    @property
    def undelivered_bytes(self) -> int:
        return self._undelivered_bytes

    async def place_of(self, target: Target, *, start_ns: int) -> Place:
        watermark_ns = self._watermarks.setdefault(target, start_ns)
        lines = [
            (entry, time_ns)
            for batch in self._kept.get(target, ())
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
            if time_ns >= watermark_ns
        ]
        return Place(
            watermark_ns, tuple(entry for entry, _ in lines), tuple(time_ns for _, time_ns in lines)
        )

    async def append(
        self,
        target: Target,
        entries: Sequence[Entry],
        times_ns: Sequence[int],
        *,
        watermark_ns: int,
    ) -> None:
        size = sum(map(_size, entries))
        while self._undelivered_bytes and self._undelivered_bytes + size > self._max_bytes:
            await self._changed.wait()
        self._watermarks[target] = watermark_ns
        if entries:
            self._last_position += 1
            batch = Batch(self._last_position, target, tuple(entries), tuple(times_ns))
            self._kept.setdefault(target, deque()).append(batch)
            for pending in self._pending.values():
                pending.append(batch)
            self._undelivered_bytes += size
        self._forget(target)
        self._tell()

    async def sink_place(self, sink: str) -> SinkPlace:
        return self._places[sink]

    async def next_batch(self, sink: str) -> Batch | None:
        while not self._pending[sink]:
            if self._is_closed:
                return None
            await self._changed.wait()
        return self._pending[sink][0]

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        before = self._delivered_upto()
        taken: list[Batch] = []
        pending = self._pending[sink]
        while pending and pending[0].position <= position:
            taken.append(pending.popleft())
        self._places[sink] = SinkPlace(position, mark)
        delivered_upto = self._delivered_upto()
        for batch in taken:
            if before < batch.position <= delivered_upto:
                self._undelivered_bytes -= sum(map(_size, batch.entries))
                self._forget(batch.target)
        self._tell()

    def close_input(self) -> None:
        self._is_closed = True
        self._tell()

    def _delivered_upto(self) -> int:
        return min((place.position for place in self._places.values()), default=self._last_position)

    def _forget(self, target: Target) -> None:
        delivered_upto = self._delivered_upto()
        watermark_ns = self._watermarks[target]
        kept = self._kept.get(target, deque())
        while kept and kept[0].position <= delivered_upto and kept[0].times_ns[-1] < watermark_ns:
            kept.popleft()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _size(entry: Entry) -> int:
    return _LINE_OVERHEAD_BYTES + (len(entry.msg) if isinstance(entry.msg, str) else 0)
