"""All targets of the simulated service, and its time."""

from dataclasses import replace

import msgspec

from tailer.clock import Clock
from tailer.model import Kind, Target
from tailer.simulator.livetarget import LiveTarget
from tailer.simulator.settings import SimulatorSettings, TargetSettings
from tailer.simulator.typist import stable_number
from tailer.simulator.world import built_in_targets
from tailer.timestamp import NS_PER_S

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
