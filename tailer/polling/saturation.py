"""Read an instant with more lines than a page (saturated) from both its ends. Pure.

The service returns the first `$top` lines of an instant in `asc` and the last in `desc`.
If the two pages overlap, the instant is complete. An overlap counts only if it is unlikely
to be chance: two pages of one repeated line overlap in every way and prove nothing.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import log2
from typing import TypeVar

from tailer.model import Entry, Window
from tailer.timestamp import NS_PER_MS, NS_PER_S

_Line = TypeVar("_Line")

# Precisions in which stores keep times or read the bounds of a query.
_STORE_STEPS_NS = (1, 1_000, NS_PER_MS, NS_PER_S)

# Information that an overlap must carry. Four lines that occur once among 10,000 carry 53
# bits: a match by chance has a probability of 2**-53. From 16 bits on an overlap is likelier
# than chance (it could have about 2**12 lengths); from 40 bits on it is certain.
_LIKELY_BITS = 16.0
_CERTAIN_BITS = 40.0


def around(first_ns: int, last_ns: int) -> Window:
    """The instant of the finest store precision that contains [first_ns, last_ns]."""
    for store_step_ns in _STORE_STEPS_NS:
        start_ns = first_ns - first_ns % store_step_ns
        if last_ns < start_ns + store_step_ns:
            return Window(start_ns, start_ns + store_step_ns)
    return Window(first_ns, last_ns + 1)


def wider(window: Window) -> Window | None:
    """The instant of the next coarser store precision around `window`; None beyond seconds."""
    for store_step_ns in _STORE_STEPS_NS:
        start_ns = window.start_ns - window.start_ns % store_step_ns
        end_ns = window.end_ns + -window.end_ns % store_step_ns
        if end_ns - start_ns > window.end_ns - window.start_ns:
            return Window(start_ns, end_ns)
    return None


@dataclass(frozen=True, slots=True)
class SaturatedInstant:
    """An instant of which the first page was read, and the last page was not."""

    window: Window
    head_times_ns: Sequence[int]
    head: Sequence[Entry]
    server_now_ns: int

    @property
    def count(self) -> int:
        """Number of lines of the instant in the first page."""
        return bisect_left(self.head_times_ns, self.window.end_ns) - bisect_left(
            self.head_times_ns, self.window.start_ns
        )

    @property
    def step_ns(self) -> int:
        """The smallest possible distance from its last line to the next line."""
        is_one_time = self.head_times_ns[0] == self.head_times_ns[-1] == self.window.start_ns
        return self.window.end_ns - self.window.start_ns if is_one_time else 1

    def joined(
        self, tail_times_ns: Sequence[int], tail: Sequence[Entry], *, is_all: bool
    ) -> tuple[list[int], list[Entry], bool]:
        """Both pages joined, in order of time, and whether the instant is certainly complete.

        `is_all`: the last page reaches back to the start of the instant.
        """
        first = bisect_left(self.head_times_ns, self.window.start_ns)
        end = bisect_left(self.head_times_ns, self.window.end_ns)
        head_pairs = list(zip(self.head_times_ns[first:end], self.head[first:end], strict=True))
        tail_pairs = list(zip(tail_times_ns, tail, strict=True))
        head_keys = [(time_ns, entry.key) for time_ns, entry in head_pairs]
        tail_keys = [(time_ns, entry.key) for time_ns, entry in tail_pairs]
        if is_all:
            pairs, is_whole = [*tail_pairs, *_beyond(head_pairs, head_keys, tail_keys)], True
        else:
            pairs, is_whole = join_ends(
                head_pairs, tail_pairs, head_keys=head_keys, tail_keys=tail_keys
            )
        pairs.sort(key=lambda pair: pair[0])
        return [time_ns for time_ns, _ in pairs], [entry for _, entry in pairs], is_whole


def join_ends(
    head: Sequence[_Line],
    tail: Sequence[_Line],
    *,
    head_keys: Sequence[Hashable],
    tail_keys: Sequence[Hashable],
) -> tuple[list[_Line], bool]:
    """The lines of `head` followed by those of `tail`, and whether these are certainly all.

    Both have the same order; equal keys mean equal lines. If no overlap is likely and yet
    half of the lines are in both pages, the service has no order among equal times: each
    line is taken as often as in the page that has it more often. Otherwise both pages are
    taken completely: a burst repeats lines, so equal lines need not be the same lines.
    """
    overlap = _longest_overlap(head_keys, tail_keys)
    occurrences = Counter(head_keys) + Counter(tail_keys)
    total = len(head_keys) + len(tail_keys)
    bits = sum(log2(total / occurrences[key]) for key in tail_keys[:overlap])
    if bits >= _LIKELY_BITS:
        return [*head, *tail[overlap:]], bits >= _CERTAIN_BITS
    beyond = _beyond(tail, tail_keys, head_keys)
    if 2 * len(beyond) <= len(tail):
        return [*head, *beyond], False
    return [*head, *tail], False


def _beyond(
    lines: Sequence[_Line], keys: Sequence[Hashable], other_keys: Sequence[Hashable]
) -> list[_Line]:
    """The `lines` that exceed the counts of `other_keys`."""
    remaining = Counter(other_keys)
    beyond = []
    for line, key in zip(lines, keys, strict=True):
        if remaining[key]:
            remaining[key] -= 1
        else:
            beyond.append(line)
    return beyond


def _longest_overlap(head: Sequence[Hashable], tail: Sequence[Hashable]) -> int:
    """The largest k for which the last k of `head` are the first k of `tail`.

    The prefix function of Knuth, Morris and Pratt: linear time even for repeated lines.
    """
    if not head or not tail:
        return 0
    borders = [0] * len(tail)
    for index in range(1, len(tail)):
        length = borders[index - 1]
        while length and tail[index] != tail[length]:
            length = borders[length - 1]
        borders[index] = length + (tail[index] == tail[length])
    matched = 0
    for key in head:
        if matched == len(tail):
            matched = borders[matched - 1]
        while matched and key != tail[matched]:
            matched = borders[matched - 1]
        matched += key == tail[matched]
    return matched
