"""Simulated targets, each with its timeline and lines, and the registry of all targets."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from tailer.clock import Clock
from tailer.model import Kind, Status, Target
from tailer.simulator.default_targets import DEFAULT_TARGETS
from tailer.simulator.line_generator import LineGenerator, stable_number
from tailer.simulator.line_store import Line, LineStore
from tailer.simulator.requests import LogQuery
from tailer.simulator.settings import SimulatorSettings, Stage, TargetSettings
from tailer.simulator.timeline import Timeline
from tailer.timestamp import NS_PER_S


class SimulatedTarget:
    """Generates lines on demand, second by second, up to the second of the query.

    A second is generated as a whole; its later lines become visible when their time comes.
    """

    def __init__(self, generator: LineGenerator, settings: SimulatorSettings) -> None:
        self.target = generator.target
        self.plan = generator.plan
        self.pods = generator.pods
        self.timeline = Timeline.planned(
            self.plan.life or (Stage(at_s=-settings.backlog_s, status=Status.RUNNING),),
            origin_ns=generator.origin_ns,
            gone_at_s=self.plan.gone_at_s,
        )
        self._settings = settings
        self._generator = generator
        self._store = LineStore(settings.dialect)
        self._generated_until_ns = self.timeline.created_ns
        self._first_second = self._second(self.timeline.created_ns)
        self._next_second = self._first_second

    def query(self, query: LogQuery, *, now_ns: int) -> list[bytes] | None:
        """A page of entries, or None if the service answers that no logs exist yet."""
        has_run = self.timeline.has_run_by(now_ns)
        if self._settings.dialect.before_running == "not_found" and not has_run:
            return None
        self._generate_until(now_ns)
        return self._store.query(query, now_ns=now_ns)

    def shown(self, now_ns: int) -> list[Line]:
        """Every line that was visible at some time up to now, even if it is hidden now."""
        self._generate_until(now_ns)
        return [line for line in self._store if line.visible_ns <= now_ns]

    def add_entry(self, entry: Mapping[str, object], at_ns: int, visible_ns: int | None) -> None:
        stored_ns = self._generator.stored_ns(at_ns)
        visible_ns = stored_ns if visible_ns is None else visible_ns
        line = Line(stored_ns, visible_ns, msgspec.json.encode(entry), is_scripted=True)
        self._store.add([line])

    def set_status(self, status: Status, now_ns: int) -> None:
        """Change the status from now on, and drop the generated lines after an end."""
        self._generate_until(now_ns)
        was_writing = self.timeline.writes_at(now_ns)
        self.timeline = self.timeline.changed(now_ns, status)
        if not self.timeline.writes_at(now_ns):
            self._store.delete_after(now_ns)
        if was_writing and status.is_terminal:
            self._store.add(self._generator.last_lines(now_ns, status))

    def delete(self, now_ns: int) -> None:
        """Delete the target without last lines; `shown` still returns its lines."""
        self._generate_until(now_ns)
        self.timeline = replace(self.timeline, deleted_ns=now_ns)
        self._store.delete_after(now_ns)

    def undelete(self) -> None:
        """Bring the target back; it has written lines in the meantime."""
        self.timeline = replace(self.timeline, deleted_ns=None)

    def _generate_until(self, now_ns: int) -> None:
        last_second = self._second(now_ns)
        while self._next_second <= last_second:
            age_s = self._next_second - self._first_second
            lines = self._generator.second(self._next_second, age_s=age_s)
            self._store.add(line for line in lines if self.timeline.writes_at(line.at_ns))
            self._next_second += 1
        for change in self.timeline.changes:
            is_new = self._generated_until_ns < change.at_ns <= now_ns
            was_writing = self.timeline.writes_at(change.at_ns - 1)
            if is_new and change.status.is_terminal and was_writing:
                self._store.add(self._generator.last_lines(change.at_ns, change.status))
        self._generated_until_ns = max(self._generated_until_ns, now_ns)
        if self._settings.keep_s:
            self._store.delete_before(now_ns - round(self._settings.keep_s * NS_PER_S))

    def _second(self, at_ns: int) -> int:
        return (at_ns - self._generator.origin_ns) // NS_PER_S


_ID_PREFIX = {Kind.DEPLOYMENT: "d", Kind.EXECUTION: "e"}


class TargetRegistry:
    """All targets. The planned ones start at the first access: only then is the clock running."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._plans = DEFAULT_TARGETS if settings.targets is None else settings.targets
        weights = [plan.weight for plan in self._plans if plan.rate_per_s is None]
        self._rate_per_weight = settings.rate_per_s / (sum(weights) or 1.0)
        self._targets: dict[Target, SimulatedTarget] = {}
        self._configurations: dict[str, TargetSettings] = {}
        self._added = 0
        self._is_started = False

    def now_ns(self) -> int:
        """The time of the simulated service."""
        return self._clock.wall_ns() + round(self._settings.clock_skew_s * NS_PER_S)

    def start(self) -> None:
        """Add the planned targets, once."""
        if not self._is_started:
            self._is_started = True
            for plan in self._plans:
                self.add(plan)

    def add(self, plan: TargetSettings) -> Target:
        """Add a target whose `at_s` times count from now; it replaces one of the same name."""
        self.start()
        self._added += 1
        target = Target(plan.resource_group, plan.kind, plan.id)
        if not plan.id:
            digits = f"{stable_number(self._settings.seed, plan.kind, self._added):016x}"
            target = replace(target, id=_ID_PREFIX[plan.kind] + digits[1:])
        own = plan.rate_per_s
        generator = LineGenerator(
            target,
            plan,
            self._settings,
            rate_per_s=self._rate_per_weight * plan.weight if own is None else own,
            origin_ns=self.now_ns(),
        )
        self._targets[target] = SimulatedTarget(generator, self._settings)
        return target

    def add_configuration(self, plan: TargetSettings) -> None:
        self._configurations[plan.configuration_id] = plan

    def create(self, configuration_id: str, *, resource_group: str) -> Target | None:
        """Create an execution; None if the configuration does not exist."""
        plan = self._configurations.get(configuration_id)
        if plan is None:
            return None
        return self.add(msgspec.structs.replace(plan, resource_group=resource_group))

    def get(self, target: Target) -> SimulatedTarget:
        """The target, even if it is not created yet or already deleted.

        Raises:
            KeyError: The target was never planned or added.
        """
        self.start()
        return self._targets[target]

    def existing(self) -> list[SimulatedTarget]:
        """The targets that exist now."""
        now_ns = self.now_ns()
        return [it for it in self.all() if it.timeline.status_at(now_ns) is not None]

    def all(self) -> list[SimulatedTarget]:
        """All targets, including those not created yet or already deleted."""
        self.start()
        return list(self._targets.values())

    def resource_groups(self) -> list[str]:
        """The readable groups: those of the settings, then those of the targets."""
        groups = [*self._settings.resource_groups, *(it.target.resource_group for it in self.all())]
        forbidden = self._settings.forbidden_resource_groups
        return [it for it in dict.fromkeys(groups) if it not in forbidden]
