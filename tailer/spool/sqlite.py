"""Durable spool of `tailer run`, in SQLite.

Laws of this file:
1. The ledger equals the database: it changes after each commit, in the order of commits.
2. The event loop never waits for the disk. One thread executes the transactions; changes
   that arrive while it is busy share the next transaction.
3. A batch is deleted after the acknowledgments and the watermark that allow it are stored,
   never before. After a crash in between, the next start deletes it.

Long, because these laws hold for all of the contract's methods together.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import anyio
import structlog

from tailer.clock import Clock
from tailer.model import Batch, Entry, Target
from tailer.spool import schema
from tailer.spool.contract import SinkPosition, TargetPosition
from tailer.spool.ledger import Backlog, Item, Ledger, size_of
from tailer.spool.targets import Listing, TargetRegistry
from tailer.spool.transactions import GroupCommit

log = structlog.get_logger()

# The newest batches: a sink without a backlog reads them without disk access.
_CACHE_BYTES = 16 * 1024 * 1024


class SqliteSpool:
    """Created by `open_spool`.

    Holds at most `max_bytes` of undelivered lines (their size in memory), plus at most one
    page of each poller that was already being appended when the spool became full.
    """

    def __init__(
        self,
        store: GroupCommit,
        ledger: Ledger,
        *,
        max_bytes: int,
        clock: Clock,
        droppers: Collection[str],
    ) -> None:
        self.droppers = droppers
        self.on_drop: Callable[[str, Batch], None] = lambda _sink, _batch: None
        self.is_full = False  # from the first append that waits until the spool is half empty
        self._store = store
        self._clock = clock
        self._max_bytes = max_bytes
        self._ledger = ledger
        self._is_closed = False
        self._changed = anyio.Event()
        self._append_queue = anyio.Lock()
        self._cache: OrderedDict[int, tuple[Batch, int]] = OrderedDict()
        self._cached_bytes = 0

    @property
    def undelivered_bytes(self) -> int:
        return self._ledger.undelivered_bytes

    @property
    def targets(self) -> TargetRegistry:
        return self._ledger.targets

    @property
    def blocked_reason(self) -> str:
        """Why no transaction can be stored at the moment; empty when it can."""
        return self._store.blocked_reason

    def backlog(self, sink: str) -> Backlog:
        return self._ledger.backlog(sink)

    async def target_position(self, target: Target, *, start_ns: int) -> TargetPosition:
        watermark_ns = self.targets.watermark_ns(target)
        if watermark_ns is None:
            await self.append(target, (), (), watermark_ns=start_ns)
            return TargetPosition(start_ns, (), ())
        # A batch that is deleted meanwhile has no line at or after the watermark.
        return TargetPosition.from_batches(
            watermark_ns, await self._batches(self._ledger.kept(target))
        )

    async def append(
        self,
        target: Target,
        entries: Sequence[Entry],
        times_ns: Sequence[int],
        *,
        watermark_ns: int,
    ) -> None:
        size, since_ns = size_of(entries), self._clock.wall_ns()
        await self._wait_for_room(size)

        def stored(position: int | None) -> None:
            if position is not None:
                batch = Batch(position, target, tuple(entries), tuple(times_ns))
                newest_ns, lines = max(times_ns), len(entries)
                self._ledger.add(Item(position, target, newest_ns, size, lines, since_ns))
                self._add_to_cache(batch, size)
            self._delete(self._ledger.move(target, watermark_ns))

        await self._store.commit(
            lambda db: schema.append(
                db, target, entries, times_ns, watermark_ns=watermark_ns, size=size
            ),
            stored,
        )

    async def retire(self, target: Target) -> None:
        watermark_ns = self._ledger.after_all(target)
        await self._store.commit(
            lambda db: schema.retire(db, target, watermark_ns),
            lambda _: self._delete(self._ledger.retire(target)),
        )

    async def record_listing(self, listing: Listing) -> None:
        listing = replace(listing, forgettable=self._ledger.without_lines(listing.forgettable))
        await self._store.commit(
            lambda db: schema.record_listing(db, listing),
            lambda _: self._ledger.record_listing(listing),
        )

    async def sink_position(self, sink: str) -> SinkPosition:
        return self._ledger.sinks[sink]

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        while True:
            positions = self._ledger.next_positions(sink, max_lines=max_lines)
            if positions:
                batches = await self._batches(positions)
                # Batches that were dropped during the read are already counted as lost.
                first = self._ledger.next_position(sink)
                remaining = tuple(each for each in batches if first and each.position >= first)
                if remaining:
                    return remaining
            elif self._is_closed:
                return ()
            else:
                await self._changed.wait()

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        await self._store.commit(
            lambda db: schema.acknowledge(db, sink, position, mark),
            lambda _: self._delete(self._ledger.acknowledge(sink, position, mark)),
        )

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        abandoned: dict[str, int] = {}

        def stored(position: int) -> None:
            counts, deletable = self._ledger.change_sinks(gone=gone, new=new, position=position)
            abandoned.update(counts)
            self._delete(deletable)

        await self._store.commit(lambda db: schema.change_sinks(db, gone=gone, new=new), stored)
        return abandoned

    async def flush(self) -> None:
        """Commit an empty transaction: it ends after all transactions that had begun."""
        await self._store.commit(lambda _: None, lambda _: None)

    def close_input(self) -> None:
        self._is_closed = True
        self._delete([])

    async def _wait_for_room(self, size: int) -> None:
        """Wait until a batch of `size` bytes fits, or drop batches of `droppers` until it does.

        First come, first served: small batches must not overtake a large one forever, and two
        appends must not drop the same batch.
        """
        if not size:
            return
        async with self._append_queue:
            while self._ledger.is_full_for(size, max_bytes=self._max_bytes):
                if await self._drop_oldest():
                    continue
                if not self.is_full:
                    self.is_full = True
                    log.warning("spool_full", undelivered_bytes=self.undelivered_bytes)
                await self._changed.wait()

    async def _drop_oldest(self) -> bool:
        """Drop one batch; False when no batch may be dropped.

        The sink may be writing the batch at this moment. Then it is counted as dropped although
        it is delivered, which is better than a drop that is not counted.
        """
        candidate = self._ledger.drop_candidate(self.droppers)
        if candidate is None:
            return False
        sink, position = candidate
        batches = await self._batches([position])

        def stored(_: object) -> None:
            before = self._ledger.sinks.get(sink)
            if not batches or before is None or position <= before.position:
                return  # acknowledged meanwhile, or the sink was removed
            self._delete(self._ledger.acknowledge(sink, position, before.mark))
            self.on_drop(sink, batches[0])

        await self._store.commit(lambda db: schema.skip(db, sink, position), stored)
        return True

    async def _batches(self, positions: Sequence[int]) -> list[Batch]:
        """In order; deleted batches are left out. At most one read from disk."""
        found = {
            position: self._cache[position][0] for position in positions if position in self._cache
        }
        if len(found) < len(positions):
            uncached = [position for position in positions if position not in found]
            read = await self._store.read(lambda db: schema.read(db, uncached))
            found |= {batch.position: batch for batch in read}
        return [found[position] for position in positions if position in found]

    def _add_to_cache(self, batch: Batch, size: int) -> None:
        self._cache[batch.position] = (batch, size)
        self._cached_bytes += size
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            _, (_, oldest_size) = self._cache.popitem(last=False)
            self._cached_bytes -= oldest_size

    def _delete(self, positions: Sequence[int]) -> None:
        """Delete these batches in the next transaction, and wake the tasks that wait."""
        if positions:
            self._store.defer(lambda db: schema.delete(db, positions))
        for position in positions:
            cached = self._cache.pop(position, None)
            if cached is not None:
                self._cached_bytes -= cached[1]
        if self.is_full and self.undelivered_bytes * 2 <= self._max_bytes:
            self.is_full = False  # at half: at the limit itself the event would flap
            log.info("spool_below_limit", undelivered_bytes=self.undelivered_bytes)
        self._changed.set()
        self._changed = anyio.Event()
