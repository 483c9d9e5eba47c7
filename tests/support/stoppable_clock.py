"""A clock for a service that falls silent, so that what it has shown can be counted."""

from dataclasses import dataclass

from tailer.clock import Clock


@dataclass(slots=True)
class StoppableClock:
    """The service's time, until `stop`: then nothing more becomes visible."""

    real: Clock
    stopped_ns: int | None = None

    def stop(self) -> None:
        self.stopped_ns = self.wall_ns()

    def wall_ns(self) -> int:
        return self.real.wall_ns() if self.stopped_ns is None else self.stopped_ns

    def monotonic_s(self) -> float:
        return self.real.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self.real.sleep(seconds)
