"""One instant with more lines than a page holds: what its two ends show together. Pure.

The service returns the first `$top` lines of an instant in `asc` and the last in `desc`.
Where the two overlap, the instant is whole. An overlap is believed only when it could
hardly be chance: two pages of one repeated line overlap in every way and prove nothing.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from math import log2
from typing import TypeVar

_Line = TypeVar("_Line")

# Information that an overlap must carry. Four lines that occur once among 10,000 carry 53
# bits: a match by accident has a chance of 2**-53. From 16 bits on an overlap is likelier
# than the accident (there are about 2**12 lengths that it could have), from 40 it is sure.
_LIKELY_BITS = 16.0
_CERTAIN_BITS = 40.0


def join_ends(
    head: Sequence[_Line],
    tail: Sequence[_Line],
    *,
    head_keys: Sequence[Hashable],
    tail_keys: Sequence[Hashable],
) -> tuple[list[_Line], bool]:
    """The lines of `head` followed by those of `tail`, and whether that is surely all of them.

    Both in the same order; the keys say which lines are alike. Where the ends share
    lines but do not fit together, each line is taken as often as the richer end has it.
    """
    overlap = _longest_overlap(head_keys, tail_keys)
    in_both = Counter(head_keys) + Counter(tail_keys)
    total = len(head_keys) + len(tail_keys)
    bits = sum(log2(total / in_both[key]) for key in tail_keys[:overlap])
    if bits >= _LIKELY_BITS:
        return [*head, *tail[overlap:]], bits >= _CERTAIN_BITS
    shared = (Counter(head_keys) & Counter(tail_keys)).total()
    if shared * 2 >= len(tail_keys):
        unmatched = Counter(head_keys)
        return [*head, *_beyond(tail, tail_keys, unmatched)], False
    return [*head, *tail], False


def _beyond(
    lines: Sequence[_Line], keys: Sequence[Hashable], matched: Counter[Hashable]
) -> list[_Line]:
    """The `lines` that `matched` does not already account for. Uses `matched` up."""
    beyond = []
    for line, key in zip(lines, keys, strict=True):
        if matched[key]:
            matched[key] -= 1
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
