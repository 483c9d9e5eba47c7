"""Looks at what does not speak for itself: the spool, the requests, the clocks, the event loop."""

from dataclasses import dataclass

from tailer.aicore.client import AiCoreClient
from tailer.clock import Clock
from tailer.health.health import Health
from tailer.spool.sqlite import SqliteSpool
from tailer.timestamp import NS_PER_S

_TURN_S = 2.0


@dataclass(slots=True)
class Sampler:
    """Tells `health`. There may be no spool and no client yet."""

    health: Health
    clock: Clock
    max_spool_bytes: int
    spool: SqliteSpool | None = None
    client: AiCoreClient | None = None

    async def keep_looking(self) -> None:
        """Without end. That it goes on at all is what shows that the loop turns."""
        while True:
            now_s = self.clock.monotonic_s()
            self.health.loop.tick(now_s=now_s, next_s=now_s + _TURN_S)
            self.look()
            await self.clock.sleep(_TURN_S)

    def look(self) -> None:
        self._look_at_spool()
        self._look_at_requests()
        known_ns = None if self.client is None else self.client.server_now_ns()
        self.health.service_ns = self.clock.wall_ns() if known_ns is None else known_ns

    def _look_at_spool(self) -> None:
        seen = self.health.spool
        seen.max_bytes = self.max_spool_bytes
        if self.spool is None:
            return
        now_ns = self.clock.wall_ns()
        seen.undelivered_bytes = self.spool.undelivered_bytes
        seen.is_full = self.spool.is_full
        seen.blocked_reason = self.spool.blocked_reason
        if seen.is_full or seen.blocked_reason:
            seen.last_blocked_s = self.clock.monotonic_s()
        for sink in self.health.sinks.values():
            backlog = self.spool.backlog(sink.name)
            sink.lag_lines = backlog.lines
            waited_ns = 0 if backlog.since_ns is None else now_ns - backlog.since_ns
            sink.lag_s = max(0.0, waited_ns / NS_PER_S)
        seen.oldest_s = max((sink.lag_s for sink in self.health.sinks.values()), default=0.0)

    def _look_at_requests(self) -> None:
        client, seen = self.client, self.health.requests
        if client is None:
            return
        now_s = self.clock.monotonic_s()
        seen.retries = client.statistics.retries
        seen.answers = client.statistics.answers
        seen.longest_wait_s = client.statistics.queue.longest_s(now_s)
        seen.tokens_granted, seen.tokens_failed = client.tokens.granted, client.tokens.failed
        seen.limit_per_s = client.rate_limiter.full_per_s
        seen.rate_per_s = client.rate_limiter.rate_per_s(now_s)
        seen.budget = client.rate_limiter.available(now_s)
