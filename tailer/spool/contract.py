"""The Spool protocol: durable lines, target positions and sink positions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailer.model import Batch, Entry, Target
from tailer.spool.targets import Listing, TargetRegistry


@dataclass(frozen=True, slots=True)
class TargetPosition:
    """A target's watermark and the spooled lines at or after it, in no particular order.

    Counting these lines rebuilds the target's cursor.
    """

    watermark_ns: int
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]

    @classmethod
    def from_batches(cls, watermark_ns: int, batches: Iterable[Batch]) -> "TargetPosition":
        lines = [
            (entry, time_ns)
            for batch in batches
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True)
            if time_ns >= watermark_ns
        ]
        return cls(watermark_ns, tuple(line for line, _ in lines), tuple(ns for _, ns in lines))


@dataclass(frozen=True, slots=True)
class SinkPosition:
    """The last batch that a sink has acknowledged (0: none yet), and the mark it returned."""

    position: int
    mark: bytes | None


class BatchQueue(Protocol):
    """The part of the spool that one sink needs."""

    async def sink_position(self, sink: str) -> SinkPosition: ...

    async def next_batches(self, sink: str, *, max_lines: int) -> tuple[Batch, ...]:
        """The first batches that `sink` has not acknowledged, in order, without omissions.

        At most `max_lines` lines and a bounded number of bytes, but always one whole batch.
        Waits for a batch; empty after `close_input`, once all are acknowledged.
        """

    async def commit(self, sink: str, position: int, mark: bytes | None) -> None:
        """Acknowledge for `sink` every batch up to `position`."""


class Spool(BatchQueue, Protocol):
    """Batches in order, with a watermark per target, and a position and a mark per sink.

    - `append`, `retire` and `record_listing` are one transaction each: the lines and the
      watermark, or neither.
    - `commit` is one transaction: a sink's position and its mark.
    - A batch is deleted when every sink has acknowledged it *and* its newest line is older
      than the stored watermark, never before both are stored. Lines that every sink's filter
      rejects are stored too: after a restart the cursor needs them to recognize duplicates.

    Raises: SinkError (exit code 5) when the state can no longer be written.
    """

    @property
    def targets(self) -> TargetRegistry:
        """The known targets, and when each resource group was listed."""

    async def target_position(self, target: Target, *, start_ns: int) -> TargetPosition:
        """The stored position of `target`; a new target is stored at `start_ns`."""

    async def append(
        self,
        target: Target,
        entries: Sequence[Entry],
        times_ns: Sequence[int],
        *,
        watermark_ns: int,
    ) -> None:
        """Store `entries`, in order of `times_ns`, and the watermark. No entries: the watermark.

        Waits while undelivered lines fill the spool: the service keeps lines for longer.
        """

    async def retire(self, target: Target) -> None:
        """Mark a finished target as retired, its watermark behind all of its lines.

        A retired target that is followed again repeats no line.
        """

    async def record_listing(self, listing: Listing) -> None: ...

    async def change_sinks(
        self, *, gone: Collection[str], new: Collection[str]
    ) -> Mapping[str, int]:
        """Forget the sinks in `gone`; start those in `new` after the last stored batch.

        One transaction. No delivery to a sink in `gone` may be running. Returns for each of
        them the number of batches that it had not acknowledged.
        """

    async def flush(self) -> None:
        """Wait until each canceled change is either stored or dropped for good.

        Positions that are read before that may be outdated.
        """

    def close_input(self) -> None:
        """No `append` follows: `next_batches` returns empty once all is acknowledged."""
