"""An instant with more lines than a page holds, read from both its ends. Pure.

The service returns the first `$top` lines of an instant in `asc` and the last in `desc`.
Where the two overlap, the instant is whole. An overlap is believed only when it could
hardly be chance: two pages of one repeated line overlap in every way and prove nothing.
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

# The precisions in which stores keep time, or read the bounds they are asked for.
_STORE_STEPS_NS = (1, 1_000, NS_PER_MS, NS_PER_S)

# Information that an overlap must carry. Four lines that occur once among 10,000 carry 53
# bits: a match by accident has a chance of 2**-53. From 16 bits on an overlap is likelier
# than the accident (there are about 2**12 lengths that it could have), from 40 it is sure.
_LIKELY_BITS = 16.0
_CERTAIN_BITS = 40.0


def around(first_ns: int, last_ns: int) -> Window:
    """The instant of a store, as coarse as it must be, that holds [first_ns, last_ns]."""
    for store_step_ns in _STORE_STEPS_NS:
        start_ns = first_ns - first_ns % store_step_ns
        if last_ns < start_ns + store_step_ns:
            return Window(start_ns, start_ns + store_step_ns)
    return Window(first_ns, last_ns + 1)


def wider(window: Window) -> Window | None:
    """The instant of the next coarser kind of store around `window`; None past seconds."""
    for store_step_ns in _STORE_STEPS_NS:
        start_ns = window.start_ns - window.start_ns % store_step_ns
        end_ns = window.end_ns + -window.end_ns % store_step_ns
        if end_ns - start_ns > window.end_ns - window.start_ns:
            return Window(start_ns, end_ns)
    return None


@dataclass(frozen=True, slots=True)
class SaturatedInstant:
    """An instant, read from its beginning; its end is still to be read."""

    window: Window
    head_times_ns: Sequence[int]
    head: Sequence[Entry]
    server_now_ns: int

    @property
    def count(self) -> int:
        """Lines of the instant that its beginning has shown."""
        return bisect_left(self.head_times_ns, self.window.end_ns) - bisect_left(
            self.head_times_ns, self.window.start_ns
        )

    @property
    def step_ns(self) -> int:
        """From its last line to the first that may follow, as far as is known."""
        is_one_time = self.head_times_ns[0] == self.head_times_ns[-1] == self.window.start_ns
        return self.window.end_ns - self.window.start_ns if is_one_time else 1

    def joined(
        self, tail_times_ns: Sequence[int], tail: Sequence[Entry], *, is_all: bool
    ) -> tuple[list[int], list[Entry], bool]:
        """Both ends as one, in order of time, and whether that is surely the whole instant.

        `is_all`: the end reaches back to the beginning.
        """
        first = bisect_left(self.head_times_ns, self.window.start_ns)
        behind = bisect_left(self.head_times_ns, self.window.end_ns)
        head_pairs = list(
            zip(self.head_times_ns[first:behind], self.head[first:behind], strict=True)
        )
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
    """The lines of `head` followed by those of `tail`, and whether that is surely all of them.

    Both in the same order; the keys say which lines are alike. Where no overlap is likely
    and yet half of the lines are in both ends, the service has no order among equal times,
    and each line is taken as often as the richer end has it. Else both are taken: a burst
    repeats itself, and what two ends have in common need not be the same lines.
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
    lines: Sequence[_Line], keys: Sequence[Hashable], known_keys: Sequence[Hashable]
) -> list[_Line]:
    """The `lines` that `known_keys` do not already account for."""
    known = Counter(known_keys)
    beyond = []
    for line, key in zip(lines, keys, strict=True):
        if known[key]:
            known[key] -= 1
        else:
            beyond.append(line)
    return beyond


def _longest_overlap(head: Sequence[Hashable], tail: Sequence[Hashable]) -> int:
    """The largest k for which the last k of `head` are the first k of `tail`.

    By the prefix function of Knuth, Morris and Pratt: linear, even for hostile repetition.
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
