"""The composition root of the service: builds the parts, wires them, ends them in order.

Ending is nesting: pollers stop first, then the spool's input is closed, then the sinks
drain and end by themselves; what they do not manage in time waits in the spool.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from tailer.aicore.connect import ClientSettings, connect
from tailer.aicore.credentials import Credentials
from tailer.clock import Clock
from tailer.config import Config
from tailer.daemon.reload import Reloader, Reloads, Setup
from tailer.daemon.sampler import Sampler
from tailer.daemon.sinks import ConfiguredSink, RunningSinks, log_abandoned, newest_file_ns
from tailer.daemon.targets import TargetSet, watched_by
from tailer.health.health import Health
from tailer.model import GapReason
from tailer.spool.open import open_spool
from tailer.status.server import status_page
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()


async def run_daemon(
    config: Config,
    *,
    credentials: Credentials,
    outlets: Sequence[ConfiguredSink],
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    stop: Callable[[], Awaitable[object]],
    health: Health,
    reloads: Reloads | None = None,
    running: Callable[[], None] = lambda: None,
    strict: bool = False,
) -> None:
    """Follow what the configuration names, into every outlet, until `stop` returns.

    Somebody may ask how it goes at `[status] listen`, from before the spool is open until
    everything else has ended.

    `reloads` says when, and to what, the configuration has changed.

    `running` is called once the spool is open and all readers and sinks have begun. With
    `strict`, a sink that cannot be opened ends everything; without, it is tried again while
    the others go on.

    Errors: ConfigError for a spool or an address that is somebody else's; AuthError when the
    very first token is refused; SinkError when it is unknown what a disk has kept.
    """
    sampler = Sampler(health, clock, max_spool_bytes=config.spool.max_bytes)
    async with (
        status_page(config.status.listen, health, clock, sampler.look),
        anyio.create_task_group() as beside,
    ):
        beside.start_soon(sampler.keep_looking)
        await _follow_and_deliver(
            Setup(config=config, credentials=credentials, outlets=tuple(outlets)),
            clock=clock,
            rng=rng,
            environ=environ,
            stop=stop,
            reloads=reloads,
            health=health,
            sampler=sampler,
            running=running,
            strict=strict,
        )
        beside.cancel_scope.cancel()


async def _follow_and_deliver(
    setup: Setup,
    *,
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    stop: Callable[[], Awaitable[object]],
    reloads: Reloads | None,
    health: Health,
    sampler: Sampler,
    running: Callable[[], None],
    strict: bool,
) -> None:
    config, credentials = setup.config, setup.credentials
    wanted = watched_by(config, default_group=setup.credentials.default_group_name)
    settings = ClientSettings(
        requests_per_s=config.poll.requests_per_s,
        first_contact_timeout_s=inf,  # a service waits for its network
    )
    names = [outlet.sink.name for outlet in setup.outlets]
    async with (
        open_spool(
            config.spool.path,
            sinks=names,
            droppers=[outlet.sink.name for outlet in setup.outlets if outlet.drops],
            max_bytes=config.spool.max_bytes,
            clock=clock,
        ) as opened,
        connect(credentials, clock=clock, rng=rng, settings=settings, environ=environ) as source,
    ):
        spool = opened.spool
        sampler.spool, sampler.client = spool, source
        log.info(
            "started",
            targets=len(wanted.names),
            selectors=len(wanted.selectors),
            sinks=names,
            spool=str(config.spool.path),
        )
        log_abandoned(opened.abandoned, health)
        if opened.set_aside is not None:
            back_ns = await _note_lost_state(opened.set_aside, config, clock, health)
            wanted = replace(wanted, backfill_ns=back_ns)
        async with anyio.create_task_group() as delivering:
            running_sinks = RunningSinks(delivering, spool=spool, clock=clock, health=health)
            spool.on_drop = running_sinks.note_drop
            for outlet in setup.outlets:
                running_sinks.start(outlet, strict=strict)
            async with anyio.create_task_group() as polling:
                polling.start_soon(_cancel_after, polling.cancel_scope, stop)
                target_set = TargetSet(
                    polling,
                    source=source,
                    spool=spool,
                    clock=clock,
                    health=health,
                    jitter=rng.random,
                )
                reloader = Reloader(setup, source, running_sinks, target_set, clock)
                await target_set.change(wanted)
                if reloads is not None:
                    polling.start_soon(reloader.keep_reloading, reloads)
                health.has_begun, health.is_stopping = True, False
                running()
            health.is_stopping = True
            log.info("stopping", undelivered_bytes=spool.undelivered_bytes)
            spool.close_input()
            timeout_s = reloader.running.config.daemon.shutdown_timeout_s
            delivering.cancel_scope.deadline = anyio.current_time() + timeout_s
        log.info("stopped", undelivered_bytes=spool.undelivered_bytes)


async def _cancel_after(scope: anyio.CancelScope, stop: Callable[[], Awaitable[object]]) -> None:
    await stop()
    scope.cancel()


async def _note_lost_state(set_aside: Path, config: Config, clock: Clock, health: Health) -> int:
    """Say that the spool is lost, and how far back to read (in ns) so that the files go on.

    The sinks' truth is all that is left: the youngest file says up to when lines arrived.
    A late line is found by a sweep only, and the last one before may have been a while ago.
    What may have come late since then is read again, so those lines may stand there twice.
    """
    health.sink_gaps[GapReason.STATE_LOST] += 1
    newest_ns = await anyio.to_thread.run_sync(newest_file_ns, config, clock.wall_ns())
    poll = config.poll
    doubtful_s = poll.lateness_s + poll.sweep_s + poll.pace.idle_interval_s
    back_ns = round(poll.backfill_s * NS_PER_S)
    if newest_ns is not None:
        back_ns = max(0, clock.wall_ns() - newest_ns) + round(doubtful_s * NS_PER_S)
    log.error(
        "gap",
        reason=GapReason.STATE_LOST.value,
        error=f"the spool was damaged and is kept as {set_aside}; "
        f"reading again from {back_ns // NS_PER_S} s ago, lines may be missing or repeated",
    )
    return back_ns
