"""Query, Slice, Dialect; ordering and dating entries. Pure.

When each line of a page happened, and in which order. Pure.

Ranges of time: asked for, shown, and how the service reads them. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tailer.model import Entry, Order, Page, Window
from tailer.timestamp import NS_PER_S, parse_ns, resolution_ns


def step_ns_of(entry: Entry) -> int:
    """The step of the last digit that a line's timestamp shows."""
    return resolution_ns(entry.timestamp) if isinstance(entry.timestamp, str) else NS_PER_S


def in_order(page: Page, order: Order, *, undated_ns: int) -> tuple[list[int], list[Entry], bool]:
    """Times and entries, oldest first, and whether they came in the order asked for.

    A line without a readable timestamp belongs to its neighbor: the dated line before
    it, else the one after it, else `undated_ns`.
    """
    entries = list(page.entries if order is Order.ASC else reversed(page.entries))
    try:
        times_ns = [parse_ns(entry.timestamp) for entry in entries]  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        times_ns = _with_neighbors_times(entries, undated_ns)
    if _is_ascending(times_ns):
        return times_ns, entries, True
    pairs = sorted(zip(times_ns, entries, strict=True), key=lambda pair: pair[0])
    return [time_ns for time_ns, _ in pairs], [entry for _, entry in pairs], False


def _with_neighbors_times(entries: Sequence[Entry], undated_ns: int) -> list[int]:
    known = [_time_ns(entry) for entry in entries]
    latest_ns = next((time_ns for time_ns in known if time_ns is not None), undated_ns)
    times_ns = []
    for time_ns in known:
        latest_ns = latest_ns if time_ns is None else time_ns
        times_ns.append(latest_ns)
    return times_ns


def _time_ns(entry: Entry) -> int | None:
    if not isinstance(entry.timestamp, str):
        return None
    try:
        return parse_ns(entry.timestamp)
    except ValueError:
        return None


def _is_ascending(times_ns: Sequence[int]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(times_ns))


@dataclass(frozen=True, slots=True)
class Query:
    window: Window
    order: Order = Order.ASC


@dataclass(frozen=True, slots=True)
class Slice:
    """What the service had in `window` when its clock showed `server_now_ns`, in order of time.

    `hole` is the part of it of which there is more than can be read.
    """

    window: Window
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]
    server_now_ns: int
    hole: Window | None = None


@dataclass(slots=True)
class ServiceDialect:
    """What the service turned out to do where its documents say nothing. One per target.

    `step_ns` is the finest step between two times that it has shown; Go, for one, trims
    trailing zeros, so a single line says little. `bounds_are_coarse`: it reads `start`
    less finely than the times it shows.
    """

    start_is_exclusive: bool | None = None  # None: no line at a page's start was looked for yet
    end_is_inclusive: bool = False
    bounds_are_coarse: bool = False
    step_ns: int = NS_PER_S

    def learn_step(self, entries: Sequence[Entry]) -> None:
        if entries:
            samples = (entries[0], entries[len(entries) // 2], entries[-1])
            self.step_ns = min(self.step_ns, *(step_ns_of(entry) for entry in samples))
