"""The spool of a terminal: the whole contract, but nothing survives the process."""

from collections.abc import Collection, Mapping, Sequence

import anyio

from tailer.model import Batch, Entry, Kind, Target
from tailer.spool.contract import SinkPosition, TargetPosition
from tailer.spool.ledger import Item, Ledger, size_of


class MemorySpool:
    """Keeps at most `max_bytes` of undelivered lines, or one batch if that is larger.

    `sinks` are the names of all that must take a batch before it may go.
    """

    def __init__(self, *, sinks: Sequence[str], max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._ledger = Ledger(dict.fromkeys(sinks, 0))
        self._places = {sink: SinkPosition(0, None) for sink in sinks}
        self._batches: dict[int, Batch] = {}
        self._last_position = 0
        self._is_closed = False
        self._changed = anyio.Event()

    @property
    def undelivered_bytes(self) -> int:
        return self._ledger.undelivered_bytes

    async def place_of(self, target: Target, *, start_ns: int) -> TargetPosition:
        watermark_ns = self._ledger.watermark_ns(target)
        if watermark_ns is None:
            self._ledger.move(target, start_ns)
            return TargetPosition(start_ns, (), ())
        return TargetPosition.remembering(
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
        self._drop(self._ledger.move(target, watermark_ns))

    async def retire(self, target: Target) -> None:
        self._drop(self._ledger.retire(target))

    def is_known(self, target: Target) -> bool:
        return self._ledger.watermark_ns(target) is not None

    def is_retired(self, target: Target) -> bool:
        return self._ledger.is_retired(target)

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]:
        return self._ledger.retired(resource_group, kind)

    def unfinished(self, resource_group: str, kind: Kind) -> Mapping[Target, int]:
        return self._ledger.unfinished(resource_group, kind)

    async def record_listing(
        self,
        resource_group: str,
        kind: Kind,
        *,
        at_ns: int,
        starts: Mapping[Target, int],
        forgettable: Collection[Target] = (),
    ) -> None:
        self._ledger.record_listing(
            resource_group,
            kind,
            at_ns=at_ns,
            starts=starts,
            forgotten=self._ledger.without_lines(forgettable),
        )

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None:
        return self._ledger.last_listing_ns(resource_group, kind)

    async def sink_position(self, sink: str) -> SinkPosition:
        return self._places[sink]

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        while not (positions := self._ledger.next_positions(sink, max_lines=max_lines)):
            if self._is_closed:
                return ()
            await self._changed.wait()
        return tuple(self._batches[position] for position in positions)

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        self._places[sink] = SinkPosition(position, mark)
        self._drop(self._ledger.take(sink, position))

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        abandoned = {}
        for sink in gone:
            abandoned[sink], positions = self._ledger.remove_sink(sink)
            del self._places[sink]
            self._drop(positions)
        for sink in new:
            self._ledger.add_sink(sink, self._last_position)
            self._places[sink] = SinkPosition(self._last_position, None)
        return abandoned

    async def settle(self) -> None:
        """Nothing is ever half done here."""

    def close_input(self) -> None:
        self._is_closed = True
        self._drop([])

    def _drop(self, positions: Sequence[int]) -> None:
        """Forget these batches, and wake whoever waits for a change."""
        for position in positions:
            del self._batches[position]
        self._changed.set()
        self._changed = anyio.Event()
