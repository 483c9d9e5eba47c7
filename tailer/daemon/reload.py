"""A new configuration for a running service: what has changed is changed, the rest goes on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio
import structlog
from anyio import to_thread

from tailer.aicore.client import AiCoreClient
from tailer.aicore.credentials import Credentials
from tailer.clock import Clock
from tailer.config import Config
from tailer.daemon.sinks import ConfiguredSink, RunningSinks
from tailer.daemon.targets import TargetSet, watched_by
from tailer.errors import AuthError, ConfigError

log = structlog.get_logger()

_PAUSE_S = 0.5  # a storm of signals is a few reloads
_LOOK_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that a service is told from outside. Its outlets are not open."""

    config: Config
    credentials: Credentials
    outlets: tuple[ConfiguredSink, ...]


class Bell:
    """Rung by whoever wants a reload. Rung often, it is heard once."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung = anyio.Event()


@dataclass(frozen=True, slots=True)
class Reloads:
    """When to reload (`asked` returns), from where (`read` blocks), and whom to tell.

    `read` may raise ConfigError, with a line for each mistake, and AuthError.
    """

    asked: Callable[[], Awaitable[None]]
    read: Callable[[], Setup]
    begun: Callable[[], None] = lambda: None
    done: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Reloader:
    """`running` is what was applied last."""

    running: Setup
    client: AiCoreClient
    running_sinks: RunningSinks
    target_set: TargetSet
    clock: Clock

    async def keep_reloading(self, reloads: Reloads) -> None:
        """Without end. What cannot be applied changes nothing, and every reason is logged."""
        while True:
            await reloads.asked()
            reloads.begun()
            try:
                await self._apply(await to_thread.run_sync(reloads.read, abandon_on_cancel=True))
            except (ConfigError, AuthError) as error:
                for reason in str(error).splitlines():
                    log.error("reload_rejected", error=reason)  # noqa: TRY400 - no bug
            await self.running_sinks.reopen()
            reloads.done()
            await self.clock.sleep(_PAUSE_S)

    async def _apply(self, setup: Setup) -> None:
        setup = replace(setup, config=self._with_what_stays(setup.config))
        if setup.credentials != self.running.credentials:
            await self.client.use(setup.credentials)
            log.info("credentials_changed", source=setup.credentials.source)
        self.client.rate_limiter.limit(setup.config.poll.requests_per_s)
        # Sinks first: one that is new has all lines of a target that is new.
        await self.running_sinks.change(setup.outlets)
        wanted = watched_by(setup.config, default_group=setup.credentials.default_group_name)
        await self.target_set.change(wanted)
        self.running = replace(setup, outlets=tuple(self.running_sinks.outlets.values()))
        log.info(
            "reloaded",
            targets=len(wanted.names),
            selectors=len(wanted.selectors),
            sinks=list(self.running_sinks.outlets),
        )

    def _with_what_stays(self, config: Config) -> Config:
        """What was opened at the start goes on as it is."""
        running = self.running.config
        for section in ("spool", "status"):
            if getattr(config, section) != getattr(running, section):
                log.warning(
                    "restart_required",
                    section=f"[{section}]",
                    reason="read at start only",
                )
        return replace(config, spool=running.spool, status=running.status)


async def watch_credentials(
    known: Credentials, read: Callable[[], Credentials], bell: Bell, clock: Clock
) -> None:
    """Rings when `read` (which blocks) gives others than before. Without end.

    What cannot be read may be half written, and is read again.
    """
    while True:
        try:
            found = await to_thread.run_sync(read, abandon_on_cancel=True)
        except AuthError:
            pass
        else:
            if found != known:
                bell.ring()
            known = found
        await clock.sleep(_LOOK_S)
