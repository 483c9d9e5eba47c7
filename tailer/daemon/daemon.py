"""Composition root of `tailer run`: build the parts, connect them, shut down in order.

Shutdown order is nesting order: pollers stop first, then the spool's input is closed, then
the sinks drain and end. Lines that are not delivered in time stay in the spool.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from tailer.aicore.connect import ClientSettings, connect
from tailer.clock import Clock
from tailer.config import Config
from tailer.daemon.reload import Reloader, ReloadSource, Setup
from tailer.daemon.sampler import Sampler
from tailer.daemon.sinks import RunningSinks, newest_file_ns, report_discarded
from tailer.daemon.targets import TargetSet, watched_by
from tailer.health.health import Health
from tailer.model import GapReason
from tailer.spool.open import open_spool
from tailer.status.server import status_page
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()


async def run_daemon(
    setup: Setup,
    *,
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    stop: Callable[[], Awaitable[object]],
    health: Health,
    reloads: ReloadSource | None = None,
    on_running: Callable[[], None] = lambda: None,
    strict: bool = False,
) -> None:
    """Follow the targets of the configuration into its sinks, until `stop` returns.

    The status page is served from before the spool is opened until everything else has ended.
    `on_running` is called once the spool is open and all pollers and sinks are started. With
    `strict`, a sink that cannot be opened raises; otherwise it is retried every 30 s.

    Errors: ConfigError for a spool or an address that another process uses; AuthError when
    the first token request is rejected; SinkError when it is unknown what is on the disk.
    """
    config, credentials = setup.config, setup.credentials
    watched = watched_by(config, default_group=credentials.default_group_name)
    names = [each.sink.name for each in setup.sinks]
    settings = ClientSettings(
        requests_per_s=config.poll.requests_per_s,
        first_contact_timeout_s=inf,  # a service may start before its network
    )
    sampler = Sampler(health, clock, max_spool_bytes=config.spool.max_bytes)
    async with (
        status_page(config.status.listen, health, clock, sampler.sample),
        anyio.create_task_group() as background,
    ):
        background.start_soon(sampler.run)
        async with (
            open_spool(
                config.spool.path,
                sinks=names,
                droppers=[each.sink.name for each in setup.sinks if each.drops],
                max_bytes=config.spool.max_bytes,
                clock=clock,
            ) as opened,
            connect(
                credentials, clock=clock, rng=rng, settings=settings, environ=environ
            ) as client,
        ):
            spool = opened.spool
            sampler.spool, sampler.client = spool, client
            log.info(
                "started",
                targets=len(watched.names),
                selectors=len(watched.selectors),
                sinks=names,
                spool=str(config.spool.path),
            )
            report_discarded(opened.abandoned, health)
            if opened.set_aside is not None:
                backfill_ns = await _report_lost_state(opened.set_aside, config, clock, health)
                watched = replace(watched, backfill_ns=backfill_ns)
            async with anyio.create_task_group() as delivering:
                sinks = RunningSinks(delivering, spool=spool, clock=clock, health=health)
                spool.on_drop = sinks.report_drop
                for sink in setup.sinks:
                    sinks.start(sink, strict=strict)
                async with anyio.create_task_group() as polling:
                    polling.start_soon(_cancel_after, polling.cancel_scope, stop)
                    targets = TargetSet(polling, client, spool, clock, health, rng.random)
                    reloader = Reloader(setup, client, sinks, targets, clock)
                    await targets.change(watched)
                    if reloads is not None:
                        polling.start_soon(reloader.run, reloads)
                    health.has_begun, health.is_stopping = True, False
                    on_running()
                health.is_stopping = True
                log.info("stopping", undelivered_bytes=spool.undelivered_bytes)
                spool.close_input()
                timeout_s = reloader.running.config.daemon.shutdown_timeout_s
                delivering.cancel_scope.deadline = anyio.current_time() + timeout_s
            log.info("stopped", undelivered_bytes=spool.undelivered_bytes)
        background.cancel_scope.cancel()


async def _cancel_after(scope: anyio.CancelScope, stop: Callable[[], Awaitable[object]]) -> None:
    await stop()
    scope.cancel()


async def _report_lost_state(set_aside: Path, config: Config, clock: Clock, health: Health) -> int:
    """Report that the spool is lost. Returns the backfill in ns with which the files continue.

    The newest file of the file sinks shows up to when lines arrived. Late lines are found by
    a sweep only, and the last sweep may be one lateness and one sweep interval older than
    that file. That span is read again, so its lines may be duplicated in the sinks.
    """
    health.sink_gaps[GapReason.STATE_LOST] += 1
    newest_ns = await anyio.to_thread.run_sync(newest_file_ns, config, clock.wall_ns())
    poll = config.poll
    backfill_s = poll.backfill_s
    if newest_ns is not None:
        age_s = max(0, clock.wall_ns() - newest_ns) / NS_PER_S
        backfill_s = age_s + poll.lateness_s + poll.sweep_s + poll.pace.idle_interval_s
    log.error(
        "gap",
        reason=GapReason.STATE_LOST.value,
        error=f"spool damaged, kept as {set_aside}; reading again from {backfill_s:.0f} s ago, "
        "lines may be missing or duplicated",
    )
    return round(backfill_s * NS_PER_S)
