"""Keeps following what a watch means: one that fails is tried again, and stops no other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from tailer.backoff import RetryPause
from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.discovery.lookup import TargetSource, find_target, kinds_and_id
from tailer.discovery.scanner import Found
from tailer.discovery.survey import ListSource
from tailer.errors import ApiError, AuthError, ConfigError, TransientApiError
from tailer.health.health import Health
from tailer.health.parts import NamedTargetHealth
from tailer.health.targets import Phase
from tailer.model import Gap, Sighted, Sighting, Target, Window, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.poller import Poller, StartAt
from tailer.polling.reporter import TargetReporter
from tailer.spool.contract import Spool

log = structlog.get_logger()


class Service(LogSource, TargetSource, ListSource, Protocol):
    """The service: what there is, and its logs."""


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows targets by name, and whatever a scanner finds.

    Those named are read from `start`, where the spool does not know them.

    A target with two names (its id alone is one), or one that is also found, is followed
    once, or all of its lines would come twice.

    Errors: AuthError only while the service has never answered, for then the credentials
    are wrong; SinkError of the spool. Everything else is logged and tried again.
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

        One that is gone is asked for on and on: a gateway may deny for an hour what is there.
        """
        named = self.health.named(name, resource_group)

        async def attempt() -> None:
            named.activity.start("looking it up", now_s=self.clock.monotonic_s())
            named.targets = tuple(await self._targets(named))
            named.reason, named.next_try_s = "", None
            named.activity.idle("followed", now_s=self.clock.monotonic_s())
            for target in named.targets:
                await self._follow_whenever_there(target, named)

        def schedule_retry(reason: str, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            named.reason, named.next_try_s = reason, now_s + retry_in_s
            named.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)
            for target in named.targets:
                if target not in self.followed:
                    self.health.of(target).schedule_retry(now_s=now_s, retry_in_s=retry_in_s)

        await self._persist(attempt, name, schedule_retry)

    async def follow_found(
        self, found: Found, sighting: Callable[[Target], Sighting | None]
    ) -> None:
        """Returns when it has ended and drained, or is gone; then it is retired for good.

        `sighting` knows it from the last list that it was in.
        """
        target, known = found.workload.target, found.workload
        if target in self.followed:
            log.info("target_duplicate", target=target.name)
            return

        async def attempt() -> None:
            await self._follow_once(
                target, target.name, known=known, sighted=lambda: sighting(target)
            )

        def schedule_retry(_: str, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            self.health.of(target).schedule_retry(now_s=now_s, retry_in_s=retry_in_s)

        group, status = target.resource_group, known.status.value
        log.info("target_found", target=target.name, resource_group=group, status=status)
        await self._persist(attempt, target.name, schedule_retry)
        await self.spool.retire(target)
        self.health.retire(target)
        log.info("target_finished", target=target.name, resource_group=group)

    async def give_up(self, gap: Gap) -> None:
        """The target of `gap` is there no more, and nobody had read it to its end."""
        target = gap.target
        reporter = TargetReporter(self.health.of(target), self.clock)
        reporter.gap(Window(gap.start_ns, gap.end_ns), gap.reason, gap.detail)
        reporter.enter(Phase.GONE)
        reporter.finish()
        await self.spool.retire(target)
        self.health.retire(target)

    async def _persist(
        self,
        attempt: Callable[[], Awaitable[None]],
        name: str,
        schedule_retry: Callable[[str, float], None],
    ) -> None:
        """Until it is done; ever less often, for the log's sake."""
        retry_pause = RetryPause()
        while True:
            began_s = self.clock.monotonic_s()
            try:
                await attempt()
            except (ApiError, AuthError, ConfigError) as error:
                if isinstance(error, AuthError) and self.source.server_now_ns() is None:
                    raise
                retry_pause.record_success(self.clock.monotonic_s() - began_s)
                retry_in_s = retry_pause.pause_s()
                log.error("target_failed", target=name, error=str(error), retry_in_s=retry_in_s)  # noqa: TRY400 - no bug
                schedule_retry(error.message, retry_in_s)
                await self.clock.sleep(retry_in_s)
            else:
                return

    async def _follow_whenever_there(self, target: Target, named: NamedTargetHealth) -> None:
        """Until it has ended. One that returns goes on at its stored place."""
        retry_pause = RetryPause()
        await self._follow_once(target, named.name)
        while self.health.of(target).phase is Phase.GONE:
            known = await self._ask_again(target, named, in_s=retry_pause.pause_s())
            if known is None:
                continue
            began_s = self.clock.monotonic_s()
            named.activity.idle("followed", now_s=began_s)
            log.info("target_reappeared", target=target.name)
            await self._follow_once(target, named.name, known=known)
            retry_pause.record_success(self.clock.monotonic_s() - began_s)

    async def _ask_again(
        self, target: Target, named: NamedTargetHealth, *, in_s: float
    ) -> Workload | None:
        """None when it is still denied, or refused: its loss is told already."""

        def schedule_retry(retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            named.activity.start("waiting to ask again", now_s=now_s, within_s=retry_in_s)
            self.health.of(target).schedule_retry(now_s=now_s, retry_in_s=retry_in_s)

        schedule_retry(in_s)
        await self.clock.sleep(in_s)
        try:
            return await self.source.get(
                target, on_retry=lambda _, retry_in_s: schedule_retry(retry_in_s)
            )
        except (ApiError, AuthError):
            return None

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
        if self.health.of(target).phase is Phase.GONE:  # no poller leads back from there
            self.health.of(target).enter(Phase.STARTING, now_s=self.clock.monotonic_s())
        try:
            await self._poller(target, known, sighted).follow(start=self.start)
        except (ApiError, AuthError) as error:
            now_s = self.clock.monotonic_s()
            self.health.of(target).enter(Phase.FAILED, now_s=now_s, reason=error.message)
            raise
        finally:
            self.followed.remove(target)

    async def _targets(self, named: NamedTargetHealth) -> list[Target]:
        kinds, id_ = kinds_and_id(named.name)
        if len(kinds) == 1:
            return [Target(named.resource_group, kinds[0], id_)]

        def tell(error: TransientApiError, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            named.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)
            reason, pause_s = error.message, round(retry_in_s, 1)
            log.warning("lookup_failed", target=named.name, error=reason, retry_in_s=pause_s)

        found = await find_target(
            self.source, named.name, resource_groups=[named.resource_group], on_retry=tell
        )
        return [workload.target for workload in found]

    def _poller(self, target: Target, known: Workload | None, sighted: Sighted) -> Poller:
        return Poller(
            target=target,
            source=self.source,
            spool=self.spool,
            clock=self.clock,
            health=self.health.of(target),
            settings=self.settings,
            jitter=self.jitter,
            details=known,
            sighted=sighted,
        )
