"""What a service follows: one task for each target, which come and go while the others go on."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from anyio.abc import TaskGroup

from tailer.clock import Clock
from tailer.config import Config, PollSettings
from tailer.daemon.follower import Follower, Service
from tailer.daemon.tasks import TaskSet
from tailer.discovery.scanner import Found, Scanner
from tailer.discovery.selector import Selector, selector_for
from tailer.health.health import Health
from tailer.model import Gap, Sighting, Target
from tailer.spool.contract import Spool
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()

_LOOKOUT = "the scanner"


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A target as somebody wrote it."""

    name: str
    resource_group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTargets:
    """`backfill_ns`: how far back to begin with what was never followed before."""

    names: tuple[NamedTarget, ...]
    selectors: tuple[Selector, ...]
    poll: PollSettings
    backfill_ns: int


def watched_by(config: Config, *, default_group: str) -> WatchedTargets:
    """What the watches mean, each once."""
    names = [
        NamedTarget(name, group)
        for watch in config.watches
        for group in watch.resource_group or (default_group,)
        for name in watch.targets
    ]
    made = [selector_for(watch, default_group=default_group) for watch in config.watches]
    return WatchedTargets(
        names=tuple(dict.fromkeys(names)),
        selectors=tuple(selector for selector in made if selector is not None),
        poll=config.poll,
        backfill_ns=round(config.poll.backfill_s * NS_PER_S),
    )


class TargetSet:
    """Follows nothing before the first `change`."""

    def __init__(
        self,
        tasks: TaskGroup,
        *,
        source: Service,
        spool: Spool,
        clock: Clock,
        health: Health,
        jitter: Callable[[], float],
    ) -> None:
        self._tasks = TaskSet(tasks)
        self._source = source
        self._spool = spool
        self._clock = clock
        self._health = health
        self._jitter = jitter
        self._wanted: WatchedTargets | None = None
        self._watcher: Follower | None = None
        self._lookout: Scanner | None = None
        self._found: dict[Target, Found] = {}  # those that are followed because they were found

    async def change(self, wanted: WatchedTargets) -> None:
        """Follow this from now on. Whoever is still meant goes on, unless `poll` has changed.

        One that is not meant any more keeps its place, should it be meant again.
        """
        if wanted == self._wanted:
            return
        names = () if self._wanted is None else self._wanted.names
        is_known = self._wanted is not None
        if self._wanted is None or self._wanted.poll != wanted.poll:
            leaving = set(self._tasks)
            freed = await self._leave(leaving)
            self._watcher = self._new_watcher(wanted)
        else:
            leaving = {who for who in self._tasks if not self._goes_on(who, wanted)}
            freed = await self._leave(leaving)
        self._wanted = wanted
        self._tidy_health(wanted, freed)
        # A name's task has ended when somebody else followed its target: that one may be gone.
        for name in wanted.names:
            is_needed = name not in names or name in leaving or freed & self._targets_of(name)
            if is_needed and name not in self._tasks:
                self._follow(name)
        self._look_out(wanted)
        if is_known:
            log.info("watches_changed", targets=len(wanted.names), selectors=len(wanted.selectors))

    def _goes_on(self, who: object, wanted: WatchedTargets) -> bool:
        if isinstance(who, NamedTarget):
            return who in wanted.names
        if isinstance(who, Target) and who in self._found:
            workload = self._found[who].workload
            return any(one.describes(workload) for one in wanted.selectors)
        return False  # the scanner: it looks for other things, or for what is not named any more

    async def _leave(self, leaving: Collection[object]) -> set[Target]:
        """Ends these; which targets are followed by nobody now."""
        followed = set() if self._watcher is None else set(self._watcher.followed)
        await self._tasks.dismiss(leaving)
        if leaving:
            await self._spool.flush()  # or who follows them next would not know the last lines
        return followed if self._watcher is None else followed - self._watcher.followed

    def _new_watcher(self, wanted: WatchedTargets) -> Follower:
        return Follower(
            source=self._source,
            spool=self._spool,
            clock=self._clock,
            settings=wanted.poll,
            health=self._health,
            start=lambda now_ns: now_ns - wanted.backfill_ns,
            jitter=self._jitter,
        )

    def _targets_of(self, name: NamedTarget) -> set[Target]:
        return set(self._health.named(name.name, name.resource_group).targets)

    def _follow(self, name: NamedTarget) -> None:
        assert self._watcher is not None
        self._health.named(name.name, name.resource_group)
        self._tasks.hire(name, partial(self._watcher.follow, name.name, name.resource_group))

    def _look_out(self, wanted: WatchedTargets) -> None:
        """A new scanner tells again of what the old one had found, unless it is retired."""
        self._health.listings.clear()
        self._lookout = None
        if not wanted.selectors:
            return
        self._lookout = Scanner(
            selectors=wanted.selectors,
            source=self._source,
            spool=self._spool,
            clock=self._clock,
            health=self._health,
            backfill_ns=wanted.backfill_ns,
            lateness_ns=round(wanted.poll.lateness_s * NS_PER_S),
            interval_s=wanted.poll.discovery_interval_s,
        )
        self._lookout.register()
        self._tasks.hire(_LOOKOUT, partial(self._lookout.watch, self._begin, self._give_up))

    def _begin(self, found: Found) -> None:
        target = found.workload.target
        if target not in self._tasks:
            self._tasks.hire(target, partial(self._follow_found, found))

    async def _give_up(self, gap: Gap) -> None:
        """Unless somebody follows it, who will know better."""
        assert self._wanted is not None
        assert self._watcher is not None
        target = gap.target
        spellings = {target.id, target.name, f"{target.kind}s/{target.id}"}
        names = {NamedTarget(one, target.resource_group) for one in spellings}
        if target not in self._tasks and names.isdisjoint(self._wanted.names):
            await self._watcher.give_up(gap)

    async def _follow_found(self, found: Found) -> None:
        assert self._watcher is not None
        self._found[found.workload.target] = found
        try:
            await self._watcher.follow_found(found, self._sighting)
        finally:
            del self._found[found.workload.target]

    def _sighting(self, target: Target) -> Sighting | None:
        return None if self._lookout is None else self._lookout.sighting(target)

    def _tidy_health(self, wanted: WatchedTargets, freed: Iterable[Target]) -> None:
        """Nobody is told any more of what is not followed any more."""
        gone = [
            one
            for one in self._health.names
            if NamedTarget(one.name, one.resource_group) not in wanted.names
        ]
        self._health.names[:] = [one for one in self._health.names if one not in gone]
        meant = {target for one in self._health.names for target in one.targets}
        for target in {*freed, *(target for one in gone for target in one.targets)}:
            if target not in meant and target not in self._tasks:
                self._health.forget(target)
