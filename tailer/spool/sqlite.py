"""The spool of the daemon: SQLite, so that lines and their place are safe in one instant.

Laws of this file:
1. What the ledger says is on disk: it changes after the commit, in the order of commits.
2. The event loop never waits for the disk: one thread does, and whoever comes while it is
   busy goes along with the next transaction.
3. Batches are deleted after both that allow it are stored, never before; a crash between
   costs nothing, for the next start forgets them again.

Long, because these laws hold for all of the contract's methods together.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence

import anyio
import structlog

from tailer.clock import Clock
from tailer.model import Batch, Entry, Kind, Target
from tailer.spool import schema
from tailer.spool.contract import SinkPosition, TargetPosition
from tailer.spool.ledger import Backlog, Item, size_of
from tailer.spool.transactions import GroupCommit

log = structlog.get_logger()

# Batches that sinks which keep up take without the disk.
_CACHE_BYTES = 16 * 1024 * 1024


class SqliteSpool:
    """Made by `open_spool`.

    Keeps at most `max_bytes` of undelivered lines, as they are in memory; beyond that, what
    the pollers had in hand when it was full (at most a page each).
    """

    def __init__(
        self,
        store: GroupCommit,
        stored: schema.Stored,
        *,
        max_bytes: int,
        clock: Clock,
        droppers: Collection[str] = (),
        on_drop: Callable[[str, Batch], None] = lambda _sink, _batch: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self.droppers = droppers
        self.on_drop = on_drop
        self._is_full = False
        self._queue = anyio.Lock()
        self._dropping = anyio.Lock()
        self._ledger = stored.ledger
        self._places = stored.places
        self._max_bytes = max_bytes
        self._is_closed = False
        self._changed = anyio.Event()
        self._cache: OrderedDict[int, tuple[Batch, int]] = OrderedDict()
        self._cached_bytes = 0

    @property
    def undelivered_bytes(self) -> int:
        return self._ledger.undelivered_bytes

    @property
    def is_full(self) -> bool:
        """Reading has had to wait for room, and half of it is not free again."""
        return self._is_full

    @property
    def blocked_reason(self) -> str:
        """Why nothing can be stored at the moment; empty when it can."""
        return self._store.blocked_reason

    def backlog(self, sink: str) -> Backlog:
        return self._ledger.backlog(sink)

    async def place_of(self, target: Target, *, start_ns: int) -> TargetPosition:
        watermark_ns = self._ledger.watermark_ns(target)
        if watermark_ns is None:
            await self.append(target, (), (), watermark_ns=start_ns)
            return TargetPosition(start_ns, (), ())
        found = [await self._batch(position) for position in self._ledger.kept(target)]
        # One that is deleted since, because the last sink took it, has no line to remember.
        return TargetPosition.remembering(
            watermark_ns, [batch for batch in found if batch is not None]
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
                self._remember(batch, size)
            self._drop(self._ledger.move(target, watermark_ns))

        await self._store.commit(
            schema.appending(target, entries, times_ns, watermark_ns=watermark_ns, size=size),
            stored,
        )

    async def retire(self, target: Target) -> None:
        def stored(_: object) -> None:
            self._drop(self._ledger.retire(target))

        watermark_ns = self._ledger.after_all(target)
        await self._store.commit(schema.retiring(target, watermark_ns=watermark_ns), stored)

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
        forgotten = self._ledger.without_lines(forgettable)

        def stored(_: object) -> None:
            self._ledger.record_listing(
                resource_group, kind, at_ns=at_ns, starts=starts, forgotten=forgotten
            )

        await self._store.commit(
            schema.recording_listing(
                resource_group, kind, at_ns=at_ns, starts=starts, forgotten=forgotten
            ),
            stored,
        )

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None:
        return self._ledger.last_listing_ns(resource_group, kind)

    async def sink_position(self, sink: str) -> SinkPosition:
        return self._places[sink]

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        while True:
            positions = self._ledger.next_positions(sink, max_lines=max_lines)
            if positions:
                batches = await self._batches(positions)
                # What was dropped while it was read, from the first one on, is counted as lost.
                first = self._ledger.next_position(sink)
                left = tuple(each for each in batches if first and each.position >= first)
                if left:
                    return left
            elif self._is_closed:
                return ()
            else:
                await self._changed.wait()

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        def stored(_: object) -> None:
            latest = max(position, self._places[sink].position)
            self._places[sink] = SinkPosition(latest, mark)
            self._drop(self._ledger.take(sink, position))

        await self._store.commit(schema.taking(sink, position, mark), stored)

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        abandoned = {}

        def stored(after_all: int) -> None:
            may_go: list[int] = []
            for sink in gone:
                abandoned[sink], positions = self._ledger.remove_sink(sink)
                del self._places[sink]
                may_go += positions
            for sink in new:
                self._ledger.add_sink(sink, after_all)
                self._places[sink] = SinkPosition(after_all, None)
            self._drop(may_go)

        await self._store.commit(schema.changing_sinks(gone=gone, new=new), stored)
        return abandoned

    async def settle(self) -> None:
        """A transaction that begins now ends after all that were under way."""
        await self._store.commit(lambda _: None, lambda _: None)

    def close_input(self) -> None:
        self._is_closed = True
        self._drop([])

    async def _wait_for_room(self, size: int) -> None:
        """Until there is room; a sink that would rather lose lines than wait makes some.

        First come, first served: a large batch is not overtaken by small ones for ever.
        """
        if not size:
            return
        async with self._queue:
            await self._make_room(size)

    async def _make_room(self, size: int) -> None:
        while self._ledger.is_full_for(size, max_bytes=self._max_bytes):
            if await self._dropped_one(size):
                continue
            if not self._is_full:
                self._is_full = True
                log.warning("spool_full", undelivered_bytes=self.undelivered_bytes)
            await self._changed.wait()

    async def _dropped_one(self, size: int) -> bool:
        """Whether there may be room now. One at a time, or two would drop the same batch.

        The batch may be in the sink's hands; should it be written all the same, then it was
        counted as dropped for nothing. A drop that nobody counts would be worse.
        """
        async with self._dropping:
            if not self._ledger.is_full_for(size, max_bytes=self._max_bytes):
                return True
            victim = self._ledger.drop_candidate(self.droppers)
            if victim is None:
                return False
            sink, position = victim
            batch = await self._batch(position)

            def stored(_: object) -> None:
                place = self._places.get(sink)
                if batch is None or place is None or position <= place.position:
                    return  # the sink has taken it meanwhile, or is gone
                self._places[sink] = SinkPosition(position, place.mark)
                self._drop(self._ledger.take(sink, position))
                self.on_drop(sink, batch)

            await self._store.commit(schema.passing_over(sink, position), stored)
            return True

    async def _batch(self, position: int) -> Batch | None:
        """None when it is deleted."""
        found = await self._batches([position])
        return found[0] if found else None

    async def _batches(self, positions: Sequence[int]) -> list[Batch]:
        """In order, without those that are deleted. At most one visit to the disk."""
        found = {
            position: cached[0]
            for position in positions
            if (cached := self._cache.get(position)) is not None
        }
        if len(found) < len(positions):
            uncached = [position for position in positions if position not in found]
            read = await self._store.read(schema.reading(uncached))
            found |= {batch.position: batch for batch in read}
        return [found[position] for position in positions if position in found]

    def _remember(self, batch: Batch, size: int) -> None:
        self._cache[batch.position] = (batch, size)
        self._cached_bytes += size
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            _, (_, oldest_size) = self._cache.popitem(last=False)
            self._cached_bytes -= oldest_size

    def _drop(self, positions: Sequence[int]) -> None:
        """Have these batches deleted with the next transaction, and wake whoever waits."""
        if positions:
            self._store.go_along(schema.deleting(positions))
        for position in positions:
            cached = self._cache.pop(position, None)
            if cached is not None:
                self._cached_bytes -= cached[1]
        if self._is_full and self.undelivered_bytes * 2 <= self._max_bytes:
            self._is_full = False  # at half, or it would be told again and again
            log.info("spool_below_limit", undelivered_bytes=self.undelivered_bytes)
        self._changed.set()
        self._changed = anyio.Event()
