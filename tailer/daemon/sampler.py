"""Sample spool, client and event loop into Health every 2 s."""

from dataclasses import dataclass

from tailer.aicore.client import AiCoreClient
from tailer.clock import Clock
from tailer.health.health import Health
from tailer.spool.sqlite import SqliteSpool
from tailer.timestamp import NS_PER_S

_INTERVAL_S = 2.0


@dataclass(slots=True)
class Sampler:
    """`spool` and `client` are None until they are open."""

    health: Health
    clock: Clock
    max_spool_bytes: int
    spool: SqliteSpool | None = None
    client: AiCoreClient | None = None

    async def run(self) -> None:
        """Sample until canceled. A late turn of this loop shows that the event loop was blocked."""
        while True:
            now_s = self.clock.monotonic_s()
            self.health.loop.tick(now_s=now_s, next_s=now_s + _INTERVAL_S)
            self.sample()
            await self.clock.sleep(_INTERVAL_S)

    def sample(self) -> None:
        now_ns = self.clock.wall_ns()
        self.health.spool.max_bytes = self.max_spool_bytes
        if self.spool is not None:
            self._sample_spool(self.spool, now_ns=now_ns)
        service_ns = None
        if self.client is not None:
            self._sample_requests(self.client)
            service_ns = self.client.server_now_ns()
        self.health.service_ns = now_ns if service_ns is None else service_ns

    def _sample_spool(self, spool: SqliteSpool, *, now_ns: int) -> None:
        health, sinks = self.health.spool, self.health.sinks.values()
        health.undelivered_bytes = spool.undelivered_bytes
        health.is_full = spool.is_full
        health.blocked_reason = spool.blocked_reason
        if health.is_full or health.blocked_reason:
            health.last_blocked_s = self.clock.monotonic_s()
        for sink in sinks:
            backlog = spool.backlog(sink.name)
            sink.lag_lines = backlog.lines
            lag_ns = 0 if backlog.since_ns is None else now_ns - backlog.since_ns
            sink.lag_s = max(0.0, lag_ns / NS_PER_S)
        health.oldest_s = max((sink.lag_s for sink in sinks), default=0.0)

    def _sample_requests(self, client: AiCoreClient) -> None:
        health, now_s = self.health.requests, self.clock.monotonic_s()
        health.retries = client.statistics.retries
        health.answers = client.statistics.answers
        health.longest_wait_s = client.statistics.queue.longest_s(now_s)
        health.tokens_granted, health.tokens_failed = client.tokens.granted, client.tokens.failed
        health.limit_per_s = client.rate_limiter.full_per_s
        health.rate_per_s = client.rate_limiter.rate_per_s(now_s)
        health.budget = client.rate_limiter.available(now_s)
