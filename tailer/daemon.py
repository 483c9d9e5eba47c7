"""The composition root of the service: builds the parts, wires them, ends them in order.

Ending is nesting: pollers stop first, then the spool's input is closed, then the sinks
drain and end by themselves; what they do not manage in time waits in the spool.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from tailer.aicore.connection import ClientSettings, connect
from tailer.aicore.credentials import Credentials
from tailer.clock import Clock
from tailer.config import Config
from tailer.delivery import deliver
from tailer.errors import SinkError, SinkUnavailableError
from tailer.health import Health
from tailer.lookout import Lookout
from tailer.model import Batch, GapReason
from tailer.noted_lists import NotedLists
from tailer.outlets import Outlet, newest_file_ns
from tailer.selection import Selector
from tailer.spool.contract import Spool
from tailer.spool.opening import open_spool
from tailer.statuspage.serving import serve_status
from tailer.statuspage.sockets import listening_at
from tailer.surroundings import Surroundings
from tailer.timestamp import NS_PER_S
from tailer.vitals import SinkHealth
from tailer.watching import Watcher

log = structlog.get_logger()

DEFAULT_RESOURCE_GROUP = "default"
_RETRY_S = 30.0  # until a sink that could not be opened is tried again


async def run_daemon(
    config: Config,
    *,
    credentials: Credentials,
    outlets: Sequence[Outlet],
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    stop: Callable[[], Awaitable[object]],
    health: Health,
    running: Callable[[], None] = lambda: None,
    strict: bool = False,
) -> None:
    """Follow what the configuration names, into every outlet, until `stop` returns.

    Somebody may ask how it goes at `[status] listen`, from before the spool is open until
    everything else has ended.

    `running` is called once the spool is open and all readers and sinks have begun. With
    `strict`, a sink that cannot be opened ends everything; without, it is tried again while
    the others go on.

    Errors: ConfigError for a spool or an address that is somebody else's; AuthError when the
    very first token is refused; SinkError when it is unknown what a disk has kept.
    """
    surroundings = Surroundings(health, clock, max_spool_bytes=config.spool.max_bytes)
    async with (
        listening_at(config.status.listen) as listening,
        anyio.create_task_group() as beside,
    ):
        beside.start_soon(surroundings.keep_looking)
        beside.start_soon(serve_status, listening, health, clock, surroundings.look)
        await _follow_and_deliver(
            config,
            credentials=credentials,
            outlets=outlets,
            clock=clock,
            rng=rng,
            environ=environ,
            stop=stop,
            health=health,
            surroundings=surroundings,
            running=running,
            strict=strict,
        )
        beside.cancel_scope.cancel()


async def _follow_and_deliver(
    config: Config,
    *,
    credentials: Credentials,
    outlets: Sequence[Outlet],
    clock: Clock,
    rng: random.Random,
    environ: Mapping[str, str],
    stop: Callable[[], Awaitable[object]],
    health: Health,
    surroundings: Surroundings,
    running: Callable[[], None],
    strict: bool,
) -> None:
    backfill_ns = round(config.poll.backfill_s * NS_PER_S)
    settings = ClientSettings(
        requests_per_s=config.poll.requests_per_s,
        first_contact_patience_s=inf,  # a service waits for its network
    )
    async with (
        open_spool(
            config.spool.path,
            sinks=[outlet.sink.name for outlet in outlets],
            droppers=[outlet.sink.name for outlet in outlets if outlet.drops],
            on_drop=partial(_note_drop, health, {each.sink.name: each.wanted for each in outlets}),
            max_bytes=config.spool.max_bytes,
            clock=clock,
        ) as opened,
        connect(credentials, clock=clock, rng=rng, settings=settings, environ=environ) as source,
    ):
        spool = opened.spool
        surroundings.spool, surroundings.client = spool, source
        names, selectors = _names(config, credentials), _selectors(config, credentials)
        sinks = [outlet.sink.name for outlet in outlets]
        log.info(
            "started",
            targets=len(names),
            selectors=len(selectors),
            sinks=sinks,
            spool=str(config.spool.path),
        )
        for sink, batches in opened.abandoned.items():
            health.sink_gaps[GapReason.SINK_DROPPED] += 1
            detail = f"the sink is no more; {batches} batches that it had still to take are dropped"
            log.error("gap", sink=sink, reason=GapReason.SINK_DROPPED.value, detail=detail)
        if opened.set_aside is not None:
            backfill_ns = await _note_lost_state(opened.set_aside, config, clock, health)
        watcher = Watcher(
            source=source,
            spool=spool,
            clock=clock,
            settings=config.poll,
            health=health,
            start=lambda now_ns: now_ns - backfill_ns,
            jitter=rng.random,
        )
        lists = NotedLists(source, selectors, health, clock, config.poll.discovery_interval_s)
        lookout = Lookout(
            selectors,
            source=lists,
            spool=spool,
            clock=clock,
            backfill_ns=backfill_ns,
            lateness_ns=round(config.poll.lateness_s * NS_PER_S),
            interval_s=config.poll.discovery_interval_s,
        )
        async with anyio.create_task_group() as delivering:
            for outlet in outlets:
                of_sink = health.of_sink(outlet.sink.name)
                delivering.start_soon(_deliver, outlet, spool, clock, of_sink, strict)
            async with anyio.create_task_group() as polling:
                polling.start_soon(_cancel_after, polling.cancel_scope, stop)
                for name, group in names:
                    health.named(name, group)
                    polling.start_soon(watcher.follow, name, group)
                if selectors:
                    lists.expect()
                    polling.start_soon(watcher.follow_what_is_found, lookout)
                health.has_begun, health.is_stopping = True, False
                running()
            health.is_stopping = True
            log.info("stopping", undelivered_bytes=spool.undelivered_bytes)
            spool.close_input()
            delivering.cancel_scope.deadline = anyio.current_time() + config.daemon.shutdown_s
        log.info("stopped", undelivered_bytes=spool.undelivered_bytes)


def _names(config: Config, credentials: Credentials) -> list[tuple[str, str]]:
    """Each target that is watched, with its resource group, once."""
    default = credentials.resource_group or DEFAULT_RESOURCE_GROUP
    names = [
        (name, group)
        for watch in config.watches
        for group in watch.resource_group or (default,)
        for name in watch.targets
    ]
    return list(dict.fromkeys(names))


def _selectors(config: Config, credentials: Credentials) -> list[Selector]:
    default = credentials.resource_group or DEFAULT_RESOURCE_GROUP
    made = [watch.selector(default_group=default) for watch in config.watches]
    return [selector for selector in made if selector is not None]


async def _cancel_after(scope: anyio.CancelScope, stop: Callable[[], Awaitable[object]]) -> None:
    await stop()
    scope.cancel()


async def _deliver(
    outlet: Outlet,
    spool: Spool,
    clock: Clock,
    health: SinkHealth,
    strict: bool,  # noqa: FBT001 - start_soon takes no keywords
) -> None:
    if strict:
        await _try_to_open(outlet, spool)
    while True:
        try:
            await deliver(outlet.sink, spool, clock=clock, wanted=outlet.wanted, health=health)
        except SinkUnavailableError as error:
            if strict:
                raise
            log.error("sink_failed", sink=outlet.sink.name, why=str(error), retry_in_s=_RETRY_S)  # noqa: TRY400 - no bug
            health.fail(str(error), now_s=clock.monotonic_s(), retry_in_s=_RETRY_S)
            if await _is_drained_within(_RETRY_S, outlet, spool, clock):
                return
        else:
            return


async def _is_drained_within(seconds: float, outlet: Outlet, spool: Spool, clock: Clock) -> bool:
    """Waits so long, or until nothing will ever come for this sink: then it need not open."""
    with anyio.move_on_after(seconds):
        while await spool.next_batches(outlet.sink.name, max_lines=1):
            await clock.sleep(1.0)
        return True
    return False


async def _try_to_open(outlet: Outlet, spool: Spool) -> None:
    """Open it and close it again: what `deliver` would wait for, a right say, is an end here."""
    place = await spool.sink_place(outlet.sink.name)
    try:
        await outlet.sink.open(place.mark)
    except SinkError as error:
        raise SinkUnavailableError(error.message, hint=error.hint) from error
    finally:
        await outlet.sink.aclose()


def _note_drop(
    health: Health, wanted: Mapping[str, Callable[[Batch], Batch]], sink: str, batch: Batch
) -> None:
    lines = len(wanted[sink](batch).entries)
    if not lines:
        return  # the sink would not have had any of them
    health.sink_gaps[GapReason.SINK_DROPPED] += 1
    log.error(
        "gap",
        sink=sink,
        target=batch.target.name,
        reason=GapReason.SINK_DROPPED.value,
        detail=f"{lines} lines dropped: the spool is full and the sink does not wait",
    )


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
        detail=f"the spool was damaged and is kept as {set_aside}; "
        f"reading again from {back_ns // NS_PER_S} s ago, lines may be missing or repeated",
    )
    return back_ns
