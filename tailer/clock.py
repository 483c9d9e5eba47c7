"""Time as a parameter. The only module that reads the clocks of the machine."""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    def wall_ns(self) -> int:
        """Nanoseconds since 1970 by the machine's clock, which may jump or be wrong."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start, without jumps."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock. Its monotonic time is the event loop's, so that tests control both."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
