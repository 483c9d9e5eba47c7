"""Which sink has acknowledged which batch; which batches may be deleted. Pure.

The one rule of deletion, for every spool: a batch is deleted when every sink has acknowledged
it and its newest line is older than the watermark of its target.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tailer.model import Entry, ExtendedEntry, Target
from tailer.spool.contract import SinkPosition
from tailer.spool.targets import Listing, TargetRegistry

# A line's fixed cost in memory, measured: a struct, its time, and four strings of its own.
_LINE_OVERHEAD_BYTES = 450
# Per read of a sink. Lines have about 200 bytes, but the service sets no limit.
_MAX_READ_BYTES = 16 * 1024 * 1024


def size_of(entries: Sequence[Entry]) -> int:
    """About how many bytes these lines take in memory."""
    messages = sum(len(entry.msg) for entry in entries if isinstance(entry.msg, str))
    extras = sum(len(bytes(one.extra)) for one in entries if isinstance(one, ExtendedEntry))
    return messages + extras + _LINE_OVERHEAD_BYTES * len(entries)


@dataclass(frozen=True, slots=True)
class Item:
    """A batch without its lines; pending since the wall time `since_ns`."""

    position: int
    target: Target
    newest_ns: int
    size: int
    lines: int
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of lines that a sink has not acknowledged; the oldest is pending `since_ns`."""

    lines: int
    since_ns: int | None


class Ledger:
    """Positions of batches and sinks, in order. Methods that return positions: delete those."""

    def __init__(self, sinks: Mapping[str, SinkPosition]) -> None:
        self.targets = TargetRegistry()
        self.sinks = dict(sinks)
        self.undelivered_bytes = 0
        self._pending: dict[str, deque[Item]] = {sink: deque() for sink in sinks}
        self._pending_lines = dict.fromkeys(sinks, 0)
        self._kept: dict[Target, deque[Item]] = {}

    @property
    def delivered_upto(self) -> int | None:
        """The last position that every sink has acknowledged; None without sinks."""
        return min((sink.position for sink in self.sinks.values()), default=None)

    def is_full_for(self, size: int, *, max_bytes: int) -> bool:
        """Whether a batch of `size` bytes must wait. A batch above `max_bytes` goes alone."""
        return size > 0 and 0 < self.undelivered_bytes > max_bytes - size

    def kept(self, target: Target) -> Sequence[int]:
        """The positions of the batches with lines at or after the watermark of `target`."""
        watermark_ns = self.targets.watermark_ns(target) or 0
        kept = self._kept.get(target, ())
        return [item.position for item in kept if item.newest_ns >= watermark_ns]

    def backlog(self, sink: str) -> Backlog:
        pending = self._pending[sink]
        return Backlog(self._pending_lines[sink], pending[0].since_ns if pending else None)

    def next_position(self, sink: str) -> int | None:
        """The first batch that `sink` has not acknowledged."""
        pending = self._pending[sink]
        return pending[0].position if pending else None

    def next_positions(self, sink: str, *, max_lines: int) -> list[int]:
        """The first batches that `sink` has not acknowledged: one, and as many more as fit."""
        found: list[int] = []
        lines = size = 0
        for item in self._pending[sink]:
            lines += item.lines
            size += item.size
            if found and (lines > max_lines or size > _MAX_READ_BYTES):
                break
            found.append(item.position)
        return found

    def drop_candidate(self, droppers: Collection[str]) -> tuple[str, int] | None:
        """The oldest batch that only sinks in `droppers` still need, and one such sink.

        The oldest of all of them, so that a fast sink loses nothing because of a slow one.
        None when a drop would free no space.
        """
        needed = min(
            (each.position for sink, each in self.sinks.items() if sink not in droppers),
            default=None,
        )
        candidates = [
            (position, sink)
            for sink in droppers
            if sink in self._pending and (position := self.next_position(sink)) is not None
        ]
        if not candidates:
            return None
        position, sink = min(candidates)
        return (sink, position) if needed is None or position <= needed else None

    def move(self, target: Target, watermark_ns: int) -> list[int]:
        """Set the watermark of `target`."""
        self.targets.move(target, watermark_ns)
        return self._pop_deletable(target)

    def after_all(self, target: Target) -> int:
        """The watermark that is behind every line of `target`."""
        newest_ns = (item.newest_ns + 1 for item in self._kept.get(target, ()))
        return max(self.targets.watermark_ns(target) or 0, *newest_ns, 0)

    def retire(self, target: Target) -> list[int]:
        """Move the watermark behind every line of `target`."""
        self.targets.retire(target)
        return self.move(target, self.after_all(target))

    def without_lines(self, targets: Iterable[Target]) -> list[Target]:
        """The retired ones among `targets` that have no batch left."""
        return [one for one in targets if self.targets.is_retired(one) and not self._kept.get(one)]

    def record_listing(self, listing: Listing) -> None:
        """`forgettable` must come from `without_lines`."""
        self.targets.record_listing(listing)
        for target in listing.forgettable:
            self._kept.pop(target, None)

    def add(self, item: Item) -> None:
        """Add a batch. Its position must be above all earlier ones."""
        self._kept.setdefault(item.target, deque()).append(item)
        is_pending = False
        for sink, pending in self._pending.items():
            if item.position > self.sinks[sink].position:
                pending.append(item)
                self._pending_lines[sink] += item.lines
                is_pending = True
        if is_pending:
            self.undelivered_bytes += item.size

    def acknowledge(self, sink: str, position: int, mark: bytes | None) -> list[int]:
        """Record that `sink` has taken every batch up to `position`, and returned `mark`."""
        before = self.delivered_upto
        pending = self._pending[sink]
        acknowledged = []
        while pending and pending[0].position <= position:
            acknowledged.append(pending.popleft())
        self._pending_lines[sink] -= sum(item.lines for item in acknowledged)
        self.sinks[sink] = SinkPosition(max(self.sinks[sink].position, position), mark)
        after = self.delivered_upto
        assert before is not None
        assert after is not None
        return self._delivered([item for item in acknowledged if before < item.position <= after])

    def change_sinks(
        self, *, gone: Collection[str], new: Collection[str], position: int
    ) -> tuple[dict[str, int], list[int]]:
        """Forget the sinks in `gone`; those in `new` skip every batch up to `position`, the last.

        Returns also how many batches each sink in `gone` had not acknowledged.
        """
        abandoned = {}
        deletable: list[int] = []
        for sink in gone:
            pending = self._pending.pop(sink)
            del self.sinks[sink], self._pending_lines[sink]
            after = self.delivered_upto
            delivered = [item for item in pending if after is None or item.position <= after]
            deletable += self._delivered(delivered)
            abandoned[sink] = len(pending)
        for sink in new:
            self.sinks[sink] = SinkPosition(position, None)
            self._pending[sink] = deque()
            self._pending_lines[sink] = 0
        return abandoned, deletable

    def _delivered(self, items: Sequence[Item]) -> list[int]:
        """Account for batches that every sink has acknowledged."""
        self.undelivered_bytes -= sum(item.size for item in items)
        targets = dict.fromkeys(item.target for item in items)
        return [position for target in targets for position in self._pop_deletable(target)]

    def _pop_deletable(self, target: Target) -> list[int]:
        """Remove what may be deleted. Scans delivered batches only: a backlog may be long."""
        kept, watermark_ns = self._kept.get(target), self.targets.watermark_ns(target)
        if not kept or watermark_ns is None:
            return []
        delivered_upto = self.delivered_upto
        delivered = []
        while kept and (delivered_upto is None or kept[0].position <= delivered_upto):
            delivered.append(kept.popleft())
        kept.extendleft(item for item in reversed(delivered) if item.newest_ns >= watermark_ns)
        return [item.position for item in delivered if item.newest_ns < watermark_ns]
