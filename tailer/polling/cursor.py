"""Deduplicate overlapping reads by counting occurrences (multiset cursor, watermark). Pure.

The service has no record ids and returns the same line again in every overlapping read.
So a line is fresh if a slice has it more often than it was seen before: a multiset, never
a set, because twins (two lines equal in every field) are two lines.

Laws of this file:
1. Lines older than the watermark are never requested again, so they are not remembered.
2. Only a slice that starts at or before the watermark may move it, and never beyond the
   service's clock at that read minus the lateness: later lines may still appear.
3. `observe` changes no state. `commit` does, after the fresh lines are stored.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tailer.model import Entry, Window
from tailer.polling.pages import Slice

# Remembered keys are dropped in buckets of 2**24 ns (17 ms): fine enough to cut inside a
# burst, coarse enough that a minute has only 3,600 of them.
_BUCKET_SHIFT = 24
MAX_KEYS = 500_000  # about 130 bytes each
_MAX_UNDATED = 10_000  # lines without a timestamp, which no watermark passes


@dataclass(frozen=True, slots=True)
class Step:
    """Result of observing one slice. Valid until the next commit.

    `late_ns` are the times of fresh lines within a range that an earlier read covered;
    `repeated` counts lines seen before. `forgotten` is the range in which late lines and
    repeated lines can no longer be distinguished, because the memory is full.
    """

    fresh: tuple[Entry, ...]
    times_ns: tuple[int, ...]
    watermark_ns: int
    late_ns: tuple[int, ...]
    repeated: int
    covered_ns: int
    forgotten: Window | None
    keys: tuple[int, ...]


class Cursor:
    """Position of a target: its watermark, and the count of each line at or after it."""

    def __init__(self, watermark_ns: int, *, lateness_ns: int, max_keys: int = MAX_KEYS) -> None:
        self.watermark_ns = watermark_ns
        self._lateness_ns = lateness_ns
        self._max_keys = max_keys
        self._covered_ns = watermark_ns
        self._seen: dict[int, int] = {}
        self._buckets: dict[int, list[int]] = {}
        self._undated: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._seen)

    def remember(self, entries: Iterable[Entry], times_ns: Iterable[int]) -> None:
        """Count lines that were stored before, for example after a restart. In any order."""
        for entry, time_ns in zip(entries, times_ns, strict=True):
            if time_ns >= self.watermark_ns:
                self._count(_key(entry, time_ns), time_ns, entry)

    def observe(self, observed: Slice) -> Step:
        """Separate the fresh lines of a slice, oldest first, from those seen before."""
        seen = self._seen
        counts: dict[int, int] = {}
        fresh: list[Entry] = []
        times: list[int] = []
        keys: list[int] = []
        repeated = 0
        for entry, time_ns in zip(observed.entries, observed.times_ns, strict=True):
            if time_ns < self.watermark_ns:
                continue
            key = _key(entry, time_ns)
            count = counts.get(key, 0) + 1
            counts[key] = count
            if count > seen.get(key, 0):
                fresh.append(entry)
                times.append(time_ns)
                keys.append(key)
            else:
                repeated += 1
        watermark_ns = self._moved(observed)
        forgotten = self._overflow(
            watermark_ns, read_upto_ns=observed.window.end_ns, times_ns=times
        )
        return Step(
            fresh=tuple(fresh),
            times_ns=tuple(times),
            watermark_ns=watermark_ns if forgotten is None else forgotten.end_ns,
            late_ns=tuple(time_ns for time_ns in times if time_ns < self._covered_ns),
            repeated=repeated,
            covered_ns=max(self._covered_ns, min(observed.window.end_ns, observed.server_now_ns)),
            forgotten=forgotten,
            keys=tuple(keys),
        )

    def commit(self, step: Step) -> None:
        """Apply a step whose fresh lines are stored."""
        for key, time_ns, entry in zip(step.keys, step.times_ns, step.fresh, strict=True):
            self._count(key, time_ns, entry)
        self._covered_ns = step.covered_ns
        if step.watermark_ns > self.watermark_ns:
            self.watermark_ns = step.watermark_ns
            self._forget()

    def _moved(self, observed: Slice) -> int:
        if observed.window.start_ns > self.watermark_ns:
            return self.watermark_ns
        settled_ns = min(observed.window.end_ns, observed.server_now_ns - self._lateness_ns)
        return max(self.watermark_ns, settled_ns)

    def _overflow(
        self, watermark_ns: int, *, read_upto_ns: int, times_ns: Sequence[int]
    ) -> Window | None:
        """The range to forget if the memory would overflow: down to three quarters."""
        excess = len(self._seen) + len(times_ns) - self._max_keys
        if excess <= 0:
            return None
        sizes = {bucket: len(keys) for bucket, keys in self._buckets.items()}
        for time_ns in times_ns:
            bucket = time_ns >> _BUCKET_SHIFT
            sizes[bucket] = sizes.get(bucket, 0) + 1
        to_drop = excess + self._max_keys // 4
        end_ns = watermark_ns
        for bucket in sorted(sizes):
            end_ns = (bucket + 1) << _BUCKET_SHIFT
            to_drop -= sizes[bucket]
            if to_drop <= 0:
                break
        end_ns = min(end_ns, read_upto_ns)  # lines not read yet are not late
        return Window(watermark_ns, end_ns) if end_ns > watermark_ns else None

    def _count(self, key: int, time_ns: int, entry: Entry) -> None:
        count = self._seen.get(key, 0)
        self._seen[key] = count + 1
        if count:
            return
        if isinstance(entry.timestamp, str):
            self._buckets.setdefault(time_ns >> _BUCKET_SHIFT, []).append(key)
            return
        self._undated.append(key)
        if len(self._undated) > _MAX_UNDATED:
            del self._seen[self._undated.popleft()]

    def _forget(self) -> None:
        first = self.watermark_ns >> _BUCKET_SHIFT
        for bucket in [bucket for bucket in self._buckets if bucket < first]:
            for key in self._buckets.pop(bucket):
                del self._seen[key]


def _key(entry: Entry, time_ns: int) -> int:
    """64 bits, keyed per process by Python itself: a sender cannot craft a collision.

    A line without a timestamp has the time of its neighbor, which can change between reads:
    the key of such a line contains no time.
    """
    own_ns = time_ns if isinstance(entry.timestamp, str) else None
    return hash((own_ns, entry.pod, entry.container, entry.stream, entry.msg))
