"""Follow one target through refusals and disappearance; a failure affects no other target."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from tailer.backoff import RetryPause
from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.discovery.lookup import TargetSource, find_target, kinds_and_id
from tailer.discovery.scanner import Found
from tailer.discovery.survey import ListSource
from tailer.errors import ApiError, AuthError, ConfigError, TailerError, TransientApiError
from tailer.health.health import Health
from tailer.health.parts import NamedTargetHealth
from tailer.health.targets import Phase
from tailer.model import Gap, Sighted, Target, Window, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.poller import Poller, StartAt
from tailer.polling.reporter import TargetReporter
from tailer.spool.contract import Spool

log = structlog.get_logger()


class Service(LogSource, TargetSource, ListSource, Protocol):
    """The service, as far as it returns logs, gets targets and lists them."""


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows named targets, and targets that a scanner has found.

    A target without a stored position is read from `start`. A target that is named twice, or
    named and found, is followed once; otherwise its lines would be duplicated.

    Errors: AuthError before the first response of the service, because the credentials are
    wrong then; SinkError of the spool. Every other error is logged and retried.
    """

    source: Service
    spool: Spool
    clock: Clock
    settings: PollSettings
    health: Health
    start: StartAt
    jitter: Callable[[], float]
    followed: set[Target] = field(default_factory=set)  # at this moment

    async def follow(self, name: str, resource_group: str) -> None:
        """Returns when the target has ended and drained.

        A missing target is retried without end: a gateway may answer 404 for an hour
        although the target exists.
        """
        named = self.health.named(name, resource_group)

        async def attempt() -> None:
            named.activity.start("looking it up", now_s=self.clock.monotonic_s())
            named.targets = tuple(await self._lookup(named))
            named.reason, named.next_try_s = "", None
            named.activity.idle("followed", now_s=self.clock.monotonic_s())
            for target in named.targets:
                await self._follow_until_ended(target, named)

        def on_failure(error: TailerError, retry_in_s: float) -> None:
            named.reason = error.message
            named.next_try_s = self.clock.monotonic_s() + retry_in_s
            self._schedule_retry(named.targets, retry_in_s, named)

        await self._with_retry(attempt, name, on_failure)

    async def follow_found(self, found: Found, sighted: Sighted) -> None:
        """Returns when the target has ended and drained, or is gone; then it is retired."""
        target, workload = found.workload.target, found.workload
        if target in self.followed:
            log.info("target_duplicate", target=target.name)
            return

        async def attempt() -> None:
            await self._follow_once(target, target.name, known=workload, sighted=sighted)

        group, status = target.resource_group, workload.status.value
        log.info("target_found", target=target.name, resource_group=group, status=status)
        await self._with_retry(
            attempt, target.name, lambda _, retry_in_s: self._schedule_retry([target], retry_in_s)
        )
        await self._retire(target)
        log.info("target_finished", target=target.name, resource_group=group)

    async def report_gone(self, gap: Gap) -> None:
        """The target of `gap` was deleted before it was read to its end."""
        reporter = TargetReporter(self.health.of(gap.target), self.clock)
        reporter.gap(Window(gap.start_ns, gap.end_ns), gap.reason, gap.detail)
        reporter.enter(Phase.GONE)
        reporter.finish()
        await self._retire(gap.target)

    async def _retire(self, target: Target) -> None:
        await self.spool.retire(target)
        self.health.retire(target)

    async def _with_retry(
        self,
        attempt: Callable[[], Awaitable[None]],
        name: str,
        on_failure: Callable[[TailerError, float], None],
    ) -> None:
        """Repeat `attempt` until it succeeds; the pauses grow, so that the log stays short."""
        retry_pause = RetryPause()
        while True:
            started_s = self.clock.monotonic_s()
            try:
                return await attempt()
            except (ApiError, AuthError, ConfigError) as error:
                if isinstance(error, AuthError) and self.source.server_now_ns() is None:
                    raise
                retry_pause.record_success(self.clock.monotonic_s() - started_s)
                retry_in_s = retry_pause.pause_s()
                log.error("target_failed", target=name, error=str(error), retry_in_s=retry_in_s)  # noqa: TRY400 - no bug
                on_failure(error, retry_in_s)
            await self.clock.sleep(retry_in_s)

    async def _follow_until_ended(self, target: Target, named: NamedTargetHealth) -> None:
        """A target that is gone and reappears continues at its stored position."""
        retry_pause = RetryPause()
        await self._follow_once(target, named.name)
        while self.health.of(target).phase is Phase.GONE:
            workload = await self._get_after(retry_pause.pause_s(), target, named)
            if workload is None:
                continue
            started_s = self.clock.monotonic_s()
            named.activity.idle("followed", now_s=started_s)
            log.info("target_reappeared", target=target.name)
            await self._follow_once(target, named.name, known=workload)
            retry_pause.record_success(self.clock.monotonic_s() - started_s)

    async def _get_after(
        self, pause_s: float, target: Target, named: NamedTargetHealth
    ) -> Workload | None:
        """None while the service denies or refuses the target, which is reported already."""

        def on_retry(_: TailerError, retry_in_s: float) -> None:
            self._schedule_retry([target], retry_in_s, named)

        self._schedule_retry([target], pause_s, named)
        await self.clock.sleep(pause_s)
        try:
            return await self.source.get(target, on_retry=on_retry)
        except (ApiError, AuthError):
            return None

    def _schedule_retry(
        self, targets: Iterable[Target], retry_in_s: float, named: NamedTargetHealth | None = None
    ) -> None:
        """Record the retry in the health of `named` and of `targets` that are not followed."""
        now_s = self.clock.monotonic_s()
        if named is not None:
            named.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)
        for target in targets:
            if target not in self.followed:
                self.health.of(target).schedule_retry(now_s=now_s, retry_in_s=retry_in_s)

    async def _follow_once(
        self,
        target: Target,
        name: str,
        *,
        known: Workload | None = None,
        sighted: Sighted = lambda: None,
    ) -> None:
        if target in self.followed:
            log.info("target_duplicate", target=name)
            return
        self.followed.add(target)
        health = self.health.of(target)
        if health.phase is Phase.GONE:  # a poller does not leave this phase
            health.enter(Phase.STARTING, now_s=self.clock.monotonic_s())
        try:
            await Poller(
                target=target,
                source=self.source,
                spool=self.spool,
                clock=self.clock,
                health=health,
                settings=self.settings,
                jitter=self.jitter,
                details=known,
                sighted=sighted,
            ).follow(start=self.start)
        except (ApiError, AuthError) as error:
            now_s = self.clock.monotonic_s()
            health.enter(Phase.FAILED, now_s=now_s, reason=error.message)
            raise
        finally:
            self.followed.remove(target)

    async def _lookup(self, named: NamedTargetHealth) -> list[Target]:
        kinds, id_ = kinds_and_id(named.name)
        if len(kinds) == 1:
            return [Target(named.resource_group, kinds[0], id_)]

        def on_retry(error: TransientApiError, retry_in_s: float) -> None:
            self._schedule_retry((), retry_in_s, named)
            pause_s = round(retry_in_s, 1)
            log.warning("lookup_failed", target=named.name, error=error.message, retry_in_s=pause_s)

        found = await find_target(
            self.source, named.name, resource_groups=[named.resource_group], on_retry=on_retry
        )
        return [workload.target for workload in found]
