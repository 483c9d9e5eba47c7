"""Who has taken what, and which batches may therefore go. Pure.

The one rule of forgetting, for every spool: a batch may go when every sink has taken it
and its newest line is older than the watermark of its target.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tailer.model import Entry, ExtendedEntry, Kind, Target

# A line's fixed cost in memory, measured: a struct, its time, and four strings of their own.
_LINE_OVERHEAD_BYTES = 450
# Of what a sink is given at once: lines are 200 bytes or so, but nothing makes them be.
_MOST_BYTES_AT_ONCE = 16 * 1024 * 1024


def size_of(entries: Sequence[Entry]) -> int:
    """About how many bytes these lines take in memory."""
    messages = sum(len(entry.msg) for entry in entries if isinstance(entry.msg, str))
    extras = sum(len(bytes(one.extra)) for one in entries if isinstance(one, ExtendedEntry))
    return messages + extras + _LINE_OVERHEAD_BYTES * len(entries)


@dataclass(frozen=True, slots=True)
class Item:
    """A batch, as far as keeping it is concerned. It waits since `since_ns`, a wall time."""

    position: int
    target: Target
    newest_ns: int
    size: int
    lines: int
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a sink has not taken yet: so many lines, the oldest since `since_ns`, if any."""

    lines: int
    since_ns: int | None


class Ledger:
    """Positions of batches and sinks, in order. `size` is in bytes, of the lines."""

    def __init__(self, sinks: Mapping[str, int]) -> None:
        """`sinks`: each with the last position that it has taken."""
        self._taken = dict(sinks)
        self._pending: dict[str, deque[Item]] = {sink: deque() for sink in sinks}
        self._pending_lines = dict.fromkeys(sinks, 0)
        self._watermarks: dict[Target, int] = {}
        self._kept: dict[Target, deque[Item]] = {}
        self._retired: dict[tuple[str, Kind], set[Target]] = {}
        self._looks_ns: dict[tuple[str, Kind], int] = {}
        self.undelivered_bytes = 0

    @property
    def delivered_upto(self) -> int | None:
        """What every sink has taken; None without sinks, for then nobody will."""
        return min(self._taken.values(), default=None)

    def is_full_for(self, size: int, *, max_bytes: int) -> bool:
        """Whether a batch of that size has to wait. One that is larger than all goes alone."""
        return size > 0 and 0 < self.undelivered_bytes > max_bytes - size

    def watermark_ns(self, target: Target) -> int | None:
        return self._watermarks.get(target)

    def kept(self, target: Target) -> Iterable[int]:
        """The positions of what is to be remembered of `target`: batches with younger lines."""
        watermark_ns = self._watermarks.get(target, 0)
        kept = self._kept.get(target, ())
        return [item.position for item in kept if item.newest_ns >= watermark_ns]

    def backlog(self, sink: str) -> Backlog:
        pending = self._pending[sink]
        return Backlog(self._pending_lines[sink], pending[0].since_ns if pending else None)

    def next_position(self, sink: str) -> int | None:
        """The first batch that `sink` has not taken."""
        pending = self._pending[sink]
        return pending[0].position if pending else None

    def next_positions(self, sink: str, *, max_lines: int) -> list[int]:
        """The first batches that `sink` has not taken: one, and as many more as fit."""
        found: list[int] = []
        lines = size = 0
        for item in self._pending[sink]:
            lines += item.lines
            size += item.size
            if found and (lines > max_lines or size > _MOST_BYTES_AT_ONCE):
                break
            found.append(item.position)
        return found

    def drop_candidate(self, droppers: Collection[str]) -> tuple[str, int] | None:
        """A sink of `droppers`, and the batch that nobody but such sinks still waits for.

        The oldest of all that they lack, so that one which keeps up loses nothing to one
        that does not. None when dropping would make no room.
        """
        needed = min(
            (taken for sink, taken in self._taken.items() if sink not in droppers), default=None
        )
        lacking = [
            (position, sink)
            for sink in droppers
            if sink in self._pending and (position := self.next_position(sink)) is not None
        ]
        if not lacking:
            return None
        position, sink = min(lacking)
        return (sink, position) if needed is None or position <= needed else None

    def move(self, target: Target, watermark_ns: int) -> list[int]:
        """Set the watermark; the positions that may go."""
        self._watermarks[target] = watermark_ns
        return self._forget(target)

    def after_all(self, target: Target) -> int:
        """The watermark that is behind every line of `target`."""
        newest_ns = (item.newest_ns + 1 for item in self._kept.get(target, ()))
        return max(self._watermarks.get(target, 0), *newest_ns, 0)

    def retire(self, target: Target) -> list[int]:
        """Move the watermark behind every line; the positions that may go."""
        self._retired.setdefault((target.resource_group, target.kind), set()).add(target)
        return self.move(target, self.after_all(target))

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]:
        return self._retired.get((resource_group, kind), ())

    def is_retired(self, target: Target) -> bool:
        return target in self.retired(target.resource_group, target.kind)

    def unfinished(self, resource_group: str, kind: Kind) -> Mapping[Target, int]:
        """The watermarks of those that are not retired."""
        retired = self.retired(resource_group, kind)
        return {
            target: watermark_ns
            for target, watermark_ns in self._watermarks.items()
            if (target.resource_group, target.kind) == (resource_group, kind)
            and target not in retired
        }

    def without_lines(self, targets: Iterable[Target]) -> list[Target]:
        """Those of `targets` that are retired, and of which no batch is left."""
        return [one for one in targets if self.is_retired(one) and not self._kept.get(one)]

    def record_listing(
        self,
        resource_group: str,
        kind: Kind,
        *,
        at_ns: int,
        starts: Mapping[Target, int],
        forgotten: Iterable[Target],
    ) -> None:
        self._looks_ns[(resource_group, kind)] = at_ns
        for target, start_ns in starts.items():
            self._watermarks.setdefault(target, start_ns)
            self._retired.get((resource_group, kind), set()).discard(target)
        for target in forgotten:
            self._retired[(resource_group, kind)].discard(target)
            self._watermarks.pop(target, None)
            self._kept.pop(target, None)

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None:
        return self._looks_ns.get((resource_group, kind))

    def add(self, item: Item) -> None:
        """A batch, at a position above all before it."""
        self._kept.setdefault(item.target, deque()).append(item)
        waiting = False
        for sink, pending in self._pending.items():
            if item.position > self._taken[sink]:
                pending.append(item)
                self._pending_lines[sink] += item.lines
                waiting = True
        if waiting:
            self.undelivered_bytes += item.size

    def take(self, sink: str, position: int) -> list[int]:
        """`sink` has taken everything up to `position`; the positions that may go."""
        before = self.delivered_upto
        pending = self._pending[sink]
        taken = []
        while pending and pending[0].position <= position:
            taken.append(pending.popleft())
        self._pending_lines[sink] -= sum(item.lines for item in taken)
        self._taken[sink] = max(self._taken[sink], position)
        after = self.delivered_upto
        assert before is not None
        assert after is not None
        delivered = [item for item in taken if before < item.position <= after]
        self.undelivered_bytes -= sum(item.size for item in delivered)
        targets = dict.fromkeys(item.target for item in delivered)
        return [position for target in targets for position in self._forget(target)]

    def add_sink(self, sink: str, position: int) -> None:
        """One more, which goes without everything up to `position`: nobody has taken more."""
        self._taken[sink] = position
        self._pending[sink] = deque()
        self._pending_lines[sink] = 0

    def remove_sink(self, sink: str) -> tuple[int, list[int]]:
        """Nobody waits for `sink`: the batches it had still to take, and positions that may go."""
        pending = self._pending.pop(sink)
        del self._taken[sink], self._pending_lines[sink]
        after = self.delivered_upto
        delivered = [item for item in pending if after is None or item.position <= after]
        self.undelivered_bytes -= sum(item.size for item in delivered)
        targets = dict.fromkeys(item.target for item in delivered)
        return len(pending), [position for one in targets for position in self._forget(one)]

    def _forget(self, target: Target) -> list[int]:
        """Drop what may go. Looks only at what is delivered: a backlog may be long."""
        kept, watermark_ns = self._kept.get(target), self._watermarks.get(target)
        if not kept or watermark_ns is None:
            return []
        delivered_upto = self.delivered_upto
        delivered = []
        while kept and (delivered_upto is None or kept[0].position <= delivered_upto):
            delivered.append(kept.popleft())
        kept.extendleft(item for item in reversed(delivered) if item.newest_ns >= watermark_ns)
        return [item.position for item in delivered if item.newest_ns < watermark_ns]
