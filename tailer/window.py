"""Ranges of time: asked for, shown, and how the service reads them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tailer.dating import step_ns_of
from tailer.model import Entry, Order
from tailer.timestamp import NS_PER_S


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

    `hole` is the part of it of which there is more than can be read.
    """

    window: Window
    entries: tuple[Entry, ...]
    times_ns: tuple[int, ...]
    server_now_ns: int
    hole: Window | None = None


@dataclass(slots=True)
class Dialect:
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
