"""Ranges of time: asked for, shown, and how the service reads them. Pure."""

from dataclasses import dataclass

from tailer.model import Entry, Order


@dataclass(frozen=True, slots=True)
class Window:
    """[start_ns, end_ns): half-open, here and everywhere else."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Query:
    window: Window
    order: Order = Order.ASC


@dataclass(frozen=True, slots=True)
class Slice:
    """What the service had in `window` when its clock showed `server_now_ns`, in order of time.

    `is_whole` is False where the instant at the window's end holds more than can be read.
    """

    window: Window
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]
    server_now_ns: int
    is_whole: bool = True


@dataclass(slots=True)
class Dialect:
    """What the service turned out to do where its documents say nothing. One per target."""

    start_is_exclusive: bool | None = None  # None: no line at a page's start was looked for yet
    end_is_inclusive: bool = False
