"""Query, Slice, ServiceDialect; ordering and dating the entries of a page. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tailer.model import Entry, Order, Page, Window
from tailer.timestamp import NS_PER_S, ns_or_none, parse_ns, resolution_ns


class OrderedPage(NamedTuple):
    """A page, oldest line first.

    `was_sorted`: the page had the requested order. `is_full`: the service may have more lines.
    """

    times_ns: list[int]
    entries: list[Entry]
    server_now_ns: int
    was_sorted: bool
    is_full: bool


def in_order(page: Page, order: Order, *, undated_ns: int) -> OrderedPage:
    """Date and sort the lines of a page.

    A line without a readable timestamp gets the time of the dated line before it, else of
    the first dated line after it, else `undated_ns`.
    """
    entries = list(page.entries if order is Order.ASC else reversed(page.entries))
    is_full = len(entries) >= page.top
    try:
        times_ns = [parse_ns(entry.timestamp) for entry in entries]  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        times_ns = _with_neighbors_times(entries, undated_ns)
    if all(earlier <= later for earlier, later in pairwise(times_ns)):
        return OrderedPage(times_ns, entries, page.server_now_ns, was_sorted=True, is_full=is_full)
    pairs = sorted(zip(times_ns, entries, strict=True), key=lambda pair: pair[0])
    times_ns, entries = [time_ns for time_ns, _ in pairs], [entry for _, entry in pairs]
    return OrderedPage(times_ns, entries, page.server_now_ns, was_sorted=False, is_full=is_full)


def _with_neighbors_times(entries: Sequence[Entry], undated_ns: int) -> list[int]:
    own_ns = [ns_or_none(entry.timestamp) for entry in entries]
    latest_ns = next((time_ns for time_ns in own_ns if time_ns is not None), undated_ns)
    times_ns = []
    for time_ns in own_ns:
        latest_ns = latest_ns if time_ns is None else time_ns
        times_ns.append(latest_ns)
    return times_ns


@dataclass(frozen=True, slots=True)
class Query:
    window: Window
    order: Order = Order.ASC


@dataclass(frozen=True, slots=True)
class Slice:
    """The lines of `window` in order of time, when the service's clock was `server_now_ns`.

    `hole` is the part of `window` that has more lines than can be read.
    """

    window: Window
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]
    server_now_ns: int
    hole: Window | None = None


@dataclass(slots=True)
class ServiceDialect:
    """Observed behavior of the service that is not documented. One per target.

    `step_ns` is the finest step of the timestamps so far: Go trims trailing zeros, so a
    single timestamp says little. `bounds_are_coarse`: the service reads `start` with fewer
    digits than its timestamps have.
    """

    start_is_exclusive: bool | None = None  # None: not observed yet
    end_is_inclusive: bool = False
    bounds_are_coarse: bool = False
    step_ns: int = NS_PER_S

    def learn_step(self, entries: Sequence[Entry]) -> None:
        if entries:
            samples = (entries[0], entries[len(entries) // 2], entries[-1])
            texts = (entry.timestamp for entry in samples)
            steps_ns = (resolution_ns(text) for text in texts if isinstance(text, str))
            self.step_ns = min(self.step_ns, *steps_ns, NS_PER_S)
