"""Exactly-once out of at-least-once, by counting occurrences. Pure.

The service has no record ids and shows the same line again in every overlapping read.
So a line is fresh when a slice shows it more often than it was ever seen: a multiset,
never a set, because twins (two lines alike in every field) are two lines.

Laws of this file:
1. Nothing older than the watermark is asked for again, so nothing older is remembered.
2. Only a slice that begins at or before the watermark may move it, and never past the
   service's clock at that read less the lateness: later lines may still appear.
3. `observe` changes nothing. `commit` does, once the fresh lines are safe.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tailer.model import Entry, Window
from tailer.polling.pages import Slice

# StoredTargets keys are dropped in buckets of 2**24 ns (17 ms): fine enough to cut inside a
# burst, coarse enough that a minute is 3,600 of them.
_BUCKET_SHIFT = 24
MAX_KEYS = 500_000  # about 130 bytes each
_MAX_UNDATED = 10_000  # lines without a timestamp; no watermark ever passes them


@dataclass(frozen=True, slots=True)
class Step:
    """What one slice means to a cursor. Valid until the next commit.

    `late_ns` are the times of fresh lines older than what an earlier read had already
    covered; `repeated` counts those seen before. `forgotten` is where late lines can no
    longer be told from old ones, because the memory is full.
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
    """A target's place: its watermark, and how often each line at or after it was seen."""

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
        """Count lines that were delivered before, as after a restart. Order does not matter."""
        for entry, time_ns in zip(entries, times_ns, strict=True):
            if time_ns >= self.watermark_ns:
                self._count(_key(entry, time_ns), time_ns, entry)

    def observe(self, shown: Slice) -> Step:
        """Tell the fresh lines of a slice, oldest first, from those seen before."""
        seen = self._seen
        counts: dict[int, int] = {}
        fresh: list[Entry] = []
        times: list[int] = []
        keys: list[int] = []
        known = 0
        for entry, time_ns in zip(shown.entries, shown.times_ns, strict=True):
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
                known += 1
        watermark_ns = self._moved(shown)
        forgotten = self._overflow(watermark_ns, read_upto_ns=shown.window.end_ns, times_ns=times)
        return Step(
            fresh=tuple(fresh),
            times_ns=tuple(times),
            watermark_ns=watermark_ns if forgotten is None else forgotten.end_ns,
            late_ns=tuple(time_ns for time_ns in times if time_ns < self._covered_ns),
            repeated=known,
            covered_ns=max(self._covered_ns, min(shown.window.end_ns, shown.server_now_ns)),
            forgotten=forgotten,
            keys=tuple(keys),
        )

    def commit(self, step: Step) -> None:
        """Take over a step whose fresh lines are safe."""
        for key, time_ns, entry in zip(step.keys, step.times_ns, step.fresh, strict=True):
            self._count(key, time_ns, entry)
        self._covered_ns = step.covered_ns
        if step.watermark_ns > self.watermark_ns:
            self.watermark_ns = step.watermark_ns
            self._forget()

    def _moved(self, shown: Slice) -> int:
        if shown.window.start_ns > self.watermark_ns:
            return self.watermark_ns
        settled_ns = min(shown.window.end_ns, shown.server_now_ns - self._lateness_ns)
        return max(self.watermark_ns, settled_ns)

    def _overflow(
        self, watermark_ns: int, *, read_upto_ns: int, times_ns: Sequence[int]
    ) -> Window | None:
        """Where to cut when the memory would be more than full: down to three quarters."""
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
        end_ns = min(end_ns, read_upto_ns)  # what was not read yet is not late
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

    The time of a line without a timestamp is its neighbor's, and another one when the
    neighbors change: such a line is known by its words alone.
    """
    known_ns = time_ns if isinstance(entry.timestamp, str) else None
    return hash((known_ns, entry.pod, entry.container, entry.stream, entry.msg))
