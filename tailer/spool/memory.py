"""In-memory spool of `tailer logs`: the whole contract, but nothing survives the process."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import anyio

from tailer.model import Batch, Entry, Target
from tailer.spool.contract import SinkPosition, TargetPosition
from tailer.spool.ledger import Item, Ledger, size_of
from tailer.spool.targets import Listing, TargetRegistry


class MemorySpool:
    """Holds at most `max_bytes` of undelivered lines, or one batch if that is larger.

    A batch is deleted only after every sink named in `sinks` has acknowledged it.
    """

    def __init__(self, *, sinks: Sequence[str], max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._ledger = Ledger(dict.fromkeys(sinks, SinkPosition(0, None)))
        self._batches: dict[int, Batch] = {}
        self._last_position = 0
        self._is_closed = False
        self._changed = anyio.Event()

    @property
    def undelivered_bytes(self) -> int:
        return self._ledger.undelivered_bytes

    @property
    def targets(self) -> TargetRegistry:
        return self._ledger.targets

    async def target_position(self, target: Target, *, start_ns: int) -> TargetPosition:
        watermark_ns = self.targets.watermark_ns(target)
        if watermark_ns is None:
            self._ledger.move(target, start_ns)
            return TargetPosition(start_ns, (), ())
        return TargetPosition.from_batches(
            watermark_ns, (self._batches[position] for position in self._ledger.kept(target))
        )

    async def append(
        self,
        target: Target,
        entries: Sequence[Entry],
        times_ns: Sequence[int],
        *,
        watermark_ns: int,
    ) -> None:
        size = size_of(entries)
        while self._ledger.is_full_for(size, max_bytes=self._max_bytes):
            await self._changed.wait()
        if entries:
            self._last_position += 1
            position = self._last_position
            self._batches[position] = Batch(position, target, tuple(entries), tuple(times_ns))
            self._ledger.add(Item(position, target, max(times_ns), size, len(entries)))
        self._delete(self._ledger.move(target, watermark_ns))

    async def retire(self, target: Target) -> None:
        self._delete(self._ledger.retire(target))

    async def record_listing(self, listing: Listing) -> None:
        forgotten = self._ledger.without_lines(listing.forgettable)
        self._ledger.record_listing(replace(listing, forgettable=forgotten))

    async def sink_position(self, sink: str) -> SinkPosition:
        return self._ledger.sinks[sink]

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        while not (positions := self._ledger.next_positions(sink, max_lines=max_lines)):
            if self._is_closed:
                return ()
            await self._changed.wait()
        return tuple(self._batches[position] for position in positions)

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        self._delete(self._ledger.acknowledge(sink, position, mark))

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        abandoned, deletable = self._ledger.change_sinks(
            gone=gone, new=new, position=self._last_position
        )
        self._delete(deletable)
        return abandoned

    async def flush(self) -> None:
        """Every change is complete when its method returns."""

    def close_input(self) -> None:
        self._is_closed = True
        self._delete([])

    def _delete(self, positions: Sequence[int]) -> None:
        """Delete these batches, and wake the tasks that wait for a change."""
        for position in positions:
            del self._batches[position]
        self._changed.set()
        self._changed = anyio.Event()
