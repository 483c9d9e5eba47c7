"""Apply a new configuration to a running service without interrupting what has not changed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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

_RELOAD_PAUSE_S = 0.5  # a burst of signals causes few reloads
_CREDENTIALS_INTERVAL_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Configuration, credentials and sinks of a service. The sinks are not open."""

    config: Config
    credentials: Credentials
    sinks: tuple[ConfiguredSink, ...]


@dataclass(slots=True)
class ReloadSource:
    """Where to reload from, and whether a reload is requested.

    `read` blocks. It may raise ConfigError, with a line for each mistake, and AuthError.
    """

    read: Callable[[], Setup]
    on_start: Callable[[], None] = lambda: None
    on_done: Callable[[], None] = lambda: None
    requested: anyio.Event = field(default_factory=anyio.Event)

    def request(self) -> None:
        """Several requests before the next reload cause one reload."""
        self.requested.set()


@dataclass(slots=True)
class Reloader:
    """`running` is the setup that was applied last."""

    running: Setup
    client: AiCoreClient
    running_sinks: RunningSinks
    target_set: TargetSet
    clock: Clock

    async def run(self, source: ReloadSource) -> None:
        """Reload at each request, until canceled. A rejected setup changes nothing."""
        while True:
            await source.requested.wait()
            source.requested = anyio.Event()
            source.on_start()
            try:
                await self._apply(await to_thread.run_sync(source.read, abandon_on_cancel=True))
            except (ConfigError, AuthError) as error:
                for mistake in str(error).splitlines():
                    log.error("reload_rejected", error=mistake)  # noqa: TRY400 - no bug
            await self.running_sinks.reopen()
            source.on_done()
            await self.clock.sleep(_RELOAD_PAUSE_S)

    async def _apply(self, setup: Setup) -> None:
        config, running = setup.config, self.running.config
        for section in ("spool", "status"):
            if getattr(config, section) != getattr(running, section):
                log.warning("restart_required", section=f"[{section}]", reason="read at start only")
        config = replace(config, spool=running.spool, status=running.status)
        if setup.credentials != self.running.credentials:
            await self.client.use(setup.credentials)
            log.info("credentials_changed", source=setup.credentials.source)
        self.client.rate_limiter.limit(config.poll.requests_per_s)
        # Sinks before targets: a new sink gets all lines of a new target.
        await self.running_sinks.change(setup.sinks)
        watched = watched_by(config, default_group=setup.credentials.default_group_name)
        await self.target_set.change(watched)
        sinks = self.running_sinks.configured
        self.running = replace(setup, config=config, sinks=tuple(sinks.values()))
        log.info(
            "reloaded",
            targets=len(watched.names),
            selectors=len(watched.selectors),
            sinks=list(sinks),
        )


async def watch_credentials(
    current: Credentials,
    read: Callable[[], Credentials],
    on_change: Callable[[], None],
    clock: Clock,
) -> None:
    """Call `on_change` when `read`, which blocks, returns other credentials. Until canceled.

    Ignores an AuthError, because a file may be half written; `read` is called again in 4 s.
    """
    while True:
        try:
            found = await to_thread.run_sync(read, abandon_on_cancel=True)
        except AuthError:
            pass
        else:
            if found != current:
                on_change()
            current = found
        await clock.sleep(_CREDENTIALS_INTERVAL_S)
