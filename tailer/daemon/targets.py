"""The targets of `tailer run`: one task for each; applies a changed set of watches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import Config, PollSettings
from tailer.daemon.follower import Follower, Service
from tailer.daemon.tasks import Task, TaskSet
from tailer.discovery.scanner import Found, Scanner
from tailer.discovery.selector import Selector, selector_for
from tailer.health.health import Health
from tailer.model import Gap, Sighting, Target, Workload
from tailer.spool.contract import Spool
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A target by the name in its [[watch]]: `deployment/ID`, `execution/ID` or a bare ID."""

    name: str
    resource_group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTargets:
    """The targets of all watches. `backfill_ns`: how far back to start a new target."""

    names: tuple[NamedTarget, ...]
    selectors: tuple[Selector, ...]
    poll: PollSettings
    backfill_ns: int


def watched_by(config: Config, *, default_group: str) -> WatchedTargets:
    """The named targets and the selectors of the configuration, without duplicate names."""
    names = [
        NamedTarget(name, group)
        for watch in config.watches
        for group in watch.resource_group or (default_group,)
        for name in watch.targets
    ]
    selectors = [selector_for(watch, default_group=default_group) for watch in config.watches]
    return WatchedTargets(
        names=tuple(dict.fromkeys(names)),
        selectors=tuple(selector for selector in selectors if selector is not None),
        poll=config.poll,
        backfill_ns=round(config.poll.backfill_s * NS_PER_S),
    )


@dataclass(slots=True)
class TargetSet:
    """The tasks in `tasks` that follow targets; none before the first `change`."""

    tasks: TaskGroup
    source: Service
    spool: Spool
    clock: Clock
    health: Health
    jitter: Callable[[], float]
    _named: TaskSet[NamedTarget] = field(init=False)
    _found: TaskSet[Target] = field(init=False)
    _workloads: dict[Target, Workload] = field(default_factory=dict)  # of the tasks in `_found`
    _scan: Task | None = None
    _scanner: Scanner | None = None
    _watched: WatchedTargets | None = None
    _follower: Follower | None = None

    def __post_init__(self) -> None:
        self._named, self._found = TaskSet(self.tasks), TaskSet(self.tasks)

    async def change(self, watched: WatchedTargets) -> None:
        """Follow `watched` instead. A target that stays is not interrupted, unless `poll` differs.

        A target that is not watched any more keeps its stored position.
        """
        previous, self._watched = self._watched, watched
        if watched == previous:
            return
        restart = previous is None or previous.poll != watched.poll
        names = [name for name in self._named if restart or name not in watched.names]
        targets = [
            target
            for target, workload in self._workloads.items()
            if restart or not any(each.describes(workload) for each in watched.selectors)
        ]
        unfollowed = await self._stop(names, targets)
        if restart or self._follower is None:
            self._follower = Follower(
                source=self.source,
                spool=self.spool,
                clock=self.clock,
                settings=watched.poll,
                health=self.health,
                start=lambda now_ns: now_ns - watched.backfill_ns,
                jitter=self.jitter,
            )
        self._tidy_health(watched, unfollowed)
        # The task of a name ends when the target is followed under another name. The name
        # needs a task again when that other name is removed.
        old_names = previous.names if previous is not None else ()
        for name in watched.names:
            health = self.health.named(name.name, name.resource_group)
            is_new = name not in old_names or name in names
            if name not in self._named and (is_new or unfollowed & set(health.targets)):
                follow = partial(self._follower.follow, name.name, name.resource_group)
                self._named.start(name, follow)
        self._start_scanner(watched)
        if previous is not None:
            log.info(
                "watches_changed", targets=len(watched.names), selectors=len(watched.selectors)
            )

    async def _stop(self, names: list[NamedTarget], targets: list[Target]) -> set[Target]:
        """End these tasks and the scanner. Returns the targets that are not followed any more."""
        if self._follower is None:
            return set()
        followed = set(self._follower.followed)
        if self._scan is not None:
            self._scan.cancel()
            await self._scan.wait()
        await self._named.cancel(names)
        await self._found.cancel(targets)
        await self.spool.flush()  # the next poller of a target reads the stored position
        return followed - self._follower.followed

    def _start_scanner(self, watched: WatchedTargets) -> None:
        """A new scanner reports all targets again, except retired ones."""
        self.health.listings.clear()
        self._scan = self._scanner = None
        if not watched.selectors:
            return
        scanner = Scanner(
            selectors=watched.selectors,
            source=self.source,
            spool=self.spool,
            clock=self.clock,
            health=self.health,
            backfill_ns=watched.backfill_ns,
            lateness_ns=round(watched.poll.lateness_s * NS_PER_S),
            interval_s=watched.poll.discovery_interval_s,
        )
        scanner.register()
        self._scanner = scanner
        self._scan = Task(self.tasks, partial(scanner.watch, self._start_found, self._report_gone))

    def _start_found(self, found: Found) -> None:
        target = found.workload.target
        if target not in self._found:
            self._workloads[target] = found.workload
            self._found.start(target, partial(self._follow_found, found))

    async def _follow_found(self, found: Found) -> None:
        assert self._follower is not None
        target = found.workload.target
        try:
            await self._follower.follow_found(found, partial(self._sighting, target))
        finally:
            del self._workloads[target]

    async def _report_gone(self, gap: Gap) -> None:
        """Skips a target that is followed: its own task detects that it is gone."""
        assert self._watched is not None
        assert self._follower is not None
        target = gap.target
        names = {
            NamedTarget(name, target.resource_group)
            for name in (target.id, target.name, f"{target.kind}s/{target.id}")
        }
        if target not in self._found and names.isdisjoint(self._watched.names):
            await self._follower.report_gone(gap)

    def _sighting(self, target: Target) -> Sighting | None:
        return None if self._scanner is None else self._scanner.sighting(target)

    def _tidy_health(self, watched: WatchedTargets, unfollowed: Iterable[Target]) -> None:
        """Remove the health of names and targets that are not watched any more."""
        removed = {*unfollowed, *(target for one in self.health.names for target in one.targets)}
        self.health.names[:] = [
            one
            for one in self.health.names
            if NamedTarget(one.name, one.resource_group) in watched.names
        ]
        named = {target for one in self.health.names for target in one.targets}
        for target in removed - named:
            if target not in self._found:
                self.health.forget(target)
