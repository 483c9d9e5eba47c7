"""Simulated targets and their population.

One target as it lives: its status over time and the lines it has said up to now.

All targets of the simulated service, and its time.
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from tailer.clock import Clock
from tailer.model import Kind, Order, Status, Target, Text
from tailer.simulator.default_targets import built_in_targets
from tailer.simulator.line_generator import Typist, stable_number
from tailer.simulator.line_store import Line, LineStore
from tailer.simulator.settings import SimulatorSettings, Stage, TargetSettings
from tailer.simulator.timeline import Life
from tailer.timestamp import NS_PER_S


class LiveTarget:
    """Lines are written when somebody asks, second by second up to the time given.

    So a second is written whole, and its later lines wait for their time to be seen.
    """

    def __init__(
        self,
        target: Target,
        plan: TargetSettings,
        settings: SimulatorSettings,
        *,
        rate_per_s: float,
        origin_ns: int,
    ) -> None:
        self.target = target
        self.plan = plan
        stages = plan.life or (Stage(at_s=-settings.backlog_s, status=Status.RUNNING),)
        self.life = Life.planned(stages, origin_ns=origin_ns, gone_at_s=plan.gone_at_s)
        self._dialect = settings.dialect
        self._keep_ns = round(settings.keep_s * NS_PER_S)
        self._origin_ns = origin_ns
        self._typist = Typist(target, plan, settings, rate_per_s=rate_per_s, origin_ns=origin_ns)
        self._store = LineStore(settings.dialect)
        self._first_second = self._second(self.life.turns[0].at_ns)
        self._next_second = self._first_second
        self._ended_by_ns = self.life.turns[0].at_ns

    def query(
        self, *, start_ns: int, end_ns: int, top: int, order: Order, now_ns: int
    ) -> list[bytes] | None:
        """A page of entries, or None where the service says that there are no logs yet."""
        if self._dialect.before_running == "not_found" and not self.life.has_run_by(now_ns):
            return None
        self._write_up_to(now_ns)
        return self._store.query(
            start_ns=start_ns, end_ns=end_ns, top=top, order=order, now_ns=now_ns
        )

    def shown(self, now_ns: int) -> list[Line]:
        """Every line that was visible at some time up to now, hidden again or not."""
        self._write_up_to(now_ns)
        return [line for line in self._store if line.visible_ns <= now_ns]

    def add_line(
        self,
        at_ns: int,
        msg: Text,
        *,
        pod: Text,
        container: Text,
        stream: Text,
        visible_ns: int | None,
        extra: Mapping[str, object],
    ) -> None:
        json = self._typist.entry(
            at_ns, msg, pod=pod, container=container, stream=stream, extra=extra
        )
        self._add(at_ns, visible_ns, json)

    def add_entry(self, entry: Mapping[str, object], at_ns: int, visible_ns: int | None) -> None:
        self._add(at_ns, visible_ns, msgspec.json.encode(entry))

    @property
    def pods(self) -> tuple[str, ...]:
        return self._typist.pods

    def turn(self, status: Status, now_ns: int) -> None:
        """From now on `status`; what it would have said after its end is never said."""
        self._write_up_to(now_ns)
        has_spoken = self.life.speaks_at(now_ns)
        self.life = self.life.turned(now_ns, status)
        if not self.life.speaks_at(now_ns):
            self._store.forget_after(now_ns)
        if has_spoken and status.is_terminal:
            self._store.add(self._typist.last_words(now_ns, status))

    def vanish(self, now_ns: int) -> None:
        """Deleted from now on, in the middle of a word."""
        self._write_up_to(now_ns)
        self.life = replace(self.life, gone_ns=now_ns)
        self._store.forget_after(now_ns)

    def reappear(self) -> None:
        """It was only denied: it has lived, and spoken, all the time."""
        self.life = replace(self.life, gone_ns=None)

    def _add(self, at_ns: int, visible_ns: int | None, json: bytes) -> None:
        stored_ns = self._typist.stored_ns(at_ns)
        shown_ns = stored_ns if visible_ns is None else visible_ns
        self._store.add([Line(stored_ns, shown_ns, json, is_scripted=True)])

    def _write_up_to(self, now_ns: int) -> None:
        last_second = self._second(now_ns)
        while self._next_second <= last_second:
            age_s = self._next_second - self._first_second
            lines = self._typist.second(self._next_second, age_s=age_s)
            self._store.add(line for line in lines if self.life.speaks_at(line.at_ns))
            self._next_second += 1
        for turn in self.life.turns:
            is_new = self._ended_by_ns < turn.at_ns <= now_ns
            if is_new and turn.status.is_terminal and self.life.speaks_at(turn.at_ns - 1):
                self._store.add(self._typist.last_words(turn.at_ns, turn.status))
        self._ended_by_ns = max(self._ended_by_ns, now_ns)
        if self._keep_ns:
            self._store.forget_before(now_ns - self._keep_ns)

    def _second(self, at_ns: int) -> int:
        return (at_ns - self._origin_ns) // NS_PER_S


_FIRST_LETTER = {Kind.DEPLOYMENT: "d", Kind.EXECUTION: "e"}


class Population:
    """Life begins when somebody first looks, because only then does the clock surely run."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._plans = built_in_targets() if settings.targets is None else settings.targets
        sharing = [plan.weight for plan in self._plans if plan.rate_per_s is None]
        self._rate_per_weight = settings.rate_per_s / (sum(sharing) or 1.0)
        self._living: dict[Target, LiveTarget] = {}
        self._offers: dict[str, TargetSettings] = {}
        self._born = 0
        self._has_begun = False

    def now_ns(self) -> int:
        """The service's own time."""
        return self._clock.wall_ns() + round(self._settings.clock_skew_s * NS_PER_S)

    def begin(self) -> None:
        """Start the lives of all planned targets, unless they have started already."""
        if not self._has_begun:
            self._has_begun = True
            for plan in self._plans:
                self.add(plan)

    def add(self, plan: TargetSettings) -> Target:
        """A new target, whose own time begins now. It takes the place of its namesake."""
        self.begin()
        self._born += 1
        target = Target(plan.resource_group, plan.kind, plan.id)
        if not plan.id:
            digits = f"{stable_number(self._settings.seed, plan.kind, self._born):016x}"
            target = replace(target, id=_FIRST_LETTER[plan.kind] + digits[1:])
        own = plan.rate_per_s
        self._living[target] = LiveTarget(
            target,
            plan,
            self._settings,
            rate_per_s=self._rate_per_weight * plan.weight if own is None else own,
            origin_ns=self.now_ns(),
        )
        return target

    def offer(self, plan: TargetSettings) -> None:
        """What a client that creates an execution of this configuration will get."""
        self._offers[plan.configuration_id] = plan

    def create(self, configuration_id: str, *, resource_group: str) -> Target | None:
        """None where there is no such configuration."""
        plan = self._offers.get(configuration_id)
        if plan is None:
            return None
        return self.add(msgspec.structs.replace(plan, resource_group=resource_group))

    def remove(self, target: Target) -> None:
        """Deleted: the service no longer knows it, but what it had shown stays true."""
        self.live(target).vanish(self.now_ns())

    def restore(self, target: Target) -> None:
        """The service had only denied it."""
        self.live(target).reappear()

    def live(self, target: Target) -> LiveTarget:
        """The target, whether or not the service admits it at this moment.

        Raises:
            KeyError: There never was one.
        """
        self.begin()
        return self._living[target]

    def existing(self) -> list[LiveTarget]:
        """The targets that the service knows now."""
        self.begin()
        now_ns = self.now_ns()
        return [it for it in self._living.values() if it.life.status_at(now_ns) is not None]

    def everyone(self) -> list[LiveTarget]:
        """Also those not yet created or already deleted."""
        self.begin()
        return list(self._living.values())

    def resource_groups(self) -> list[str]:
        used = [it.target.resource_group for it in self.everyone()]
        named = [*self._settings.resource_groups, *used]
        return [it for it in dict.fromkeys(named) if it not in self.forbidden_groups]

    @property
    def forbidden_groups(self) -> tuple[str, ...]:
        return self._settings.forbidden_resource_groups
