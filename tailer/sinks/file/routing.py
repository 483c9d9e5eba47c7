"""A batch cut into the parts that belong in different files. Pure.

A line must not mint files without end: pods, containers and dates are other people's
text. So a target may begin MOST_NEW_FILES a day; lines that would begin one more go to
its file for `other` instead.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tailer.model import Batch, Target
from tailer.sinks.file.path_template import PathTemplate, day_of

MOST_NEW_FILES = 1000  # well above the pods that a deployment goes through in a day
_OTHER = ("other", "other", "other")


class NewFiles:
    """How many files each target has begun on this day, UTC."""

    def __init__(self) -> None:
        self._day = ""
        self._begun: Counter[Target] = Counter()

    def left(self, target: Target, *, now_ns: int) -> int:
        today = day_of(now_ns)
        if today != self._day:
            self._day = today
            self._begun.clear()
        return MOST_NEW_FILES - self._begun[target]

    def note(self, target: Target, count: int) -> None:
        self._begun[target] += count


def routed(
    batch: Batch, template: PathTemplate, *, exists: Callable[[str], bool], may_begin: int
) -> dict[str, Batch]:
    """The part of each path, in the order of the batch; `may_begin` files not yet there."""
    if not batch.entries:
        return {}
    if not template.is_per_line:
        return {template.path(batch.target, ("", "", "")): batch}
    parts: dict[str, list[int]] = {}
    for names, indices in _by_names(batch, template).items():
        path = template.path(batch.target, names)
        if path not in parts and not exists(path):
            may_begin -= 1
            if may_begin < 0:
                path = template.path(batch.target, _OTHER)
        parts.setdefault(path, []).extend(indices)
    return {path: _part(batch, sorted(indices)) for path, indices in parts.items()}


def _by_names(batch: Batch, template: PathTemplate) -> dict[tuple[str, str, str], list[int]]:
    found: dict[tuple[str, str, str], list[int]] = {}
    for index, (entry, time_ns) in enumerate(zip(batch.entries, batch.times_ns, strict=True)):
        found.setdefault(template.names(entry, time_ns), []).append(index)
    return found


def _part(batch: Batch, indices: list[int]) -> Batch:
    if len(indices) == len(batch.entries):
        return batch
    return replace(
        batch,
        entries=tuple(batch.entries[index] for index in indices),
        times_ns=tuple(batch.times_ns[index] for index in indices),
    )
