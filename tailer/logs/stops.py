"""What ends a run from outside, whatever it is doing."""

import signal
from collections.abc import Awaitable, Callable

import anyio

from tailer.clock import Clock
from tailer.logs.outcome import Cause

Stop = Callable[[], Awaitable[Cause]]
"""Returns when it is time to stop, with the reason."""

_SIGNALS = {signal.SIGINT: Cause.SIGINT, signal.SIGTERM: Cause.SIGTERM}


async def signaled() -> Cause:
    """A Stop: the first SIGINT or SIGTERM. The second meets the system's default."""
    with anyio.open_signal_receiver(*_SIGNALS) as signals:
        async for number in signals:
            return _SIGNALS[number]
    raise AssertionError("signals never end")


def timed_out(timeout_s: float, clock: Clock) -> Stop:
    """A Stop: so much time has passed."""

    async def await_timeout() -> Cause:
        await clock.sleep(timeout_s)
        return Cause.TIMEOUT

    return await_timeout
