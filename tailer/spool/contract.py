"""The one place where a target's place and its undelivered lines live."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailer.model import Batch, Entry, Kind, Target


@dataclass(frozen=True, slots=True)
class TargetPosition:
    """Where a target stands: its watermark, and the lines delivered at or after it.

    The lines come in no particular order; counting them rebuilds the cursor.
    """

    watermark_ns: int
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]

    @classmethod
    def remembering(cls, watermark_ns: int, batches: Iterable[Batch]) -> "TargetPosition":
        """The place at `watermark_ns`, with the lines of `batches` that are not older."""
        lines = [
            (entry, time_ns)
            for batch in batches
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
            if time_ns >= watermark_ns
        ]
        return cls(watermark_ns, tuple(line for line, _ in lines), tuple(ns for _, ns in lines))


@dataclass(frozen=True, slots=True)
class SinkPosition:
    """The last batch that a sink has taken (0: none yet), and the mark it gave back."""

    position: int
    mark: bytes | None


class Spool(Protocol):
    """Batches in order, a watermark for each target, a position and mark for each sink.

    - `append` is one transaction: the lines and the watermark, or neither. It waits while
      the undelivered lines fill the spool, because the service is the longer log.
    - `commit` is one transaction: a sink's position and its mark.
    - A batch goes when every sink has taken it *and* its newest line is older than the
      stored watermark, never before both are stored. Lines that no sink wants
      are kept all the same, or a restart would not know them.
    - A target that is retired keeps its place, behind all of its lines: asked for again, it
      repeats nothing. What is known of targets is in memory, so asking costs nothing.

    Raises: SinkError (exit code 5) when the state can no longer be written.
    """

    async def place_of(self, target: Target, *, start_ns: int) -> TargetPosition:
        """Where `target` stands; a new one stands at `start_ns`."""

    async def append(
        self,
        target: Target,
        entries: Sequence[Entry],
        times_ns: Sequence[int],
        *,
        watermark_ns: int,
    ) -> None:
        """`entries` in order of time, a time for each; none at all just moves the watermark."""

    async def retire(self, target: Target) -> None:
        """`target` was read to its end: nothing of it needs to be remembered but that."""

    def is_known(self, target: Target) -> bool:
        """Whether `target` has a place, retired or not."""

    def is_retired(self, target: Target) -> bool: ...

    def retired(self, resource_group: str, kind: Kind) -> Collection[Target]: ...

    def unfinished(self, resource_group: str, kind: Kind) -> Mapping[Target, int]:
        """The watermarks of those that are known and not retired. Goes through all targets."""

    async def record_listing(
        self,
        resource_group: str,
        kind: Kind,
        *,
        at_ns: int,
        starts: Mapping[Target, int],
        forgettable: Collection[Target] = (),
    ) -> None:
        """One transaction: somebody looked what there is, and new targets stand at `starts`.

        One that is known stays where it stands, and is no longer retired. Of `forgettable`,
        which are retired, those go that have no line left to be taken.
        """

    def last_listing_ns(self, resource_group: str, kind: Kind) -> int | None:
        """When that was noted; None when never."""

    async def sink_position(self, sink: str) -> SinkPosition: ...

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        """The first batches that `sink` has not taken, in order, none left out between them.

        At most `max_lines` lines in all, and what is well held in memory; the first one
        comes however large it is. Waits for that; empty when no more will come.
        """

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        """`sink` has taken everything up to `position`."""

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        """One transaction: `gone` are forgotten, and `new` begin behind all that is stored.

        How many batches each of `gone` had still to take. Nobody may be delivering to them.
        """

    async def settle(self) -> None:
        """Whoever was canceled in the midst of a change: it is stored now, or never will be.

        Only then does it make sense to ask again where a target or a sink stands.
        """

    def close_input(self) -> None:
        """Nothing will be appended any more: `next_batches` ends once all is taken."""
