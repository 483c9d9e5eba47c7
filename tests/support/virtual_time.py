"""An event loop in which waiting costs nothing.

When every task waits and no socket has news, the clock jumps to the next deadline. So
`anyio.sleep`, cancel scopes and aiohttp's timeouts all run on the same invented time,
with real loopback sockets, as long as both ends live in this loop.
"""

import selectors
from asyncio import SelectorEventLoop  # noqa: TID251 - anyio takes a loop factory of asyncio's
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio._backends._asyncio import (  # no public name says whether a worker thread is idle
    _threadpool_idle_workers,
    _threadpool_workers,
)

T = TypeVar("T")
START_NS = 1_700_000_000_000_000_000  # any date will do, as long as it is not today's
_GRACE_S = 0.002  # real time for the kernel to come forward with what was sent
_LOOK_S = 0.05  # real time between two looks when only a thread or a socket can go on


def _threads_are_busy() -> bool:
    """Whether work that was given to a thread is still under way: time must not jump over it."""
    try:
        return len(_threadpool_workers.get()) > len(_threadpool_idle_workers.get())
    except LookupError:
        return False


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for a deadline: asks the sockets, then lets the loop move its clock."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        ready = super().select(_GRACE_S)
        if ready or timeout is None or _threads_are_busy():
            return ready or super().select(_LOOK_S)
        self.jumped_s += timeout
        return []


class VirtualTimeLoop(SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped_s

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for threads without a deadline, which would be over at once."""
        await super().shutdown_default_executor()


class VirtualClock:
    """The clock of a VirtualTimeLoop, from outside: starts at START_NS and moves with the loop."""

    def wall_ns(self) -> int:
        return START_NS + round(anyio.current_time() * 1e9)

    def monotonic_s(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)  # noqa: TID251 - this is a Clock


def run_in_virtual_time(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in a loop of its own, for tests that need one loop an example."""
    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop})
