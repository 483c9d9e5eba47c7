"""Stops of a run: signals and --timeout."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

from tailer.clock import Clock
from tailer.logs.outcome import Cause

Stop: TypeAlias = Callable[[], Awaitable[Cause]]
"""Returns the cause when it is time to stop."""

_SIGNALS = {signal.SIGINT: Cause.SIGINT, signal.SIGTERM: Cause.SIGTERM}


async def signaled() -> Cause:
    """A Stop: the first SIGINT or SIGTERM. The second one has the system's default effect."""
    with anyio.open_signal_receiver(*_SIGNALS) as signals:
        async for number in signals:
            return _SIGNALS[number]
    raise AssertionError("signals never end")


def timed_out(timeout_s: float, clock: Clock) -> Stop:
    async def timeout() -> Cause:
        await clock.sleep(timeout_s)
        return Cause.TIMEOUT

    return timeout
