"""Time as a parameter. The only module that asks the machine for it."""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    def wall_ns(self) -> int:
        """Nanoseconds since 1970, by this machine: may jump, may be wrong."""

    def monotonic_s(self) -> float:
        """Seconds since some start: never jumps, says nothing about the date."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock; its monotonic time is the event loop's, so that both agree in tests."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
