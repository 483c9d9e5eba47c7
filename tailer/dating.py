"""When each line of a page happened, and in which order. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from tailer.model import Entry, Order, Page
from tailer.timestamp import NS_PER_S, parse_ns, resolution_ns


def step_ns_of(entry: Entry) -> int:
    """The step of the last digit that a line's timestamp shows."""
    return resolution_ns(entry.timestamp) if isinstance(entry.timestamp, str) else NS_PER_S


def in_order(page: Page, order: Order, *, undated_ns: int) -> tuple[list[int], list[Entry], bool]:
    """Times and entries, oldest first, and whether they came in the order asked for.

    A line without a readable timestamp belongs to its neighbour: the dated line before
    it, else the one after it, else `undated_ns`.
    """
    entries = list(page.entries if order is Order.ASC else reversed(page.entries))
    try:
        times_ns = [parse_ns(entry.timestamp) for entry in entries]  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        times_ns = _with_neighbours_times(entries, undated_ns)
    if _is_ascending(times_ns):
        return times_ns, entries, True
    pairs = sorted(zip(times_ns, entries, strict=True), key=lambda pair: pair[0])
    return [time_ns for time_ns, _ in pairs], [entry for _, entry in pairs], False


def _with_neighbours_times(entries: Sequence[Entry], undated_ns: int) -> list[int]:
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
