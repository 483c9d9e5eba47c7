"""Many executions that come and go within seconds, in several resource groups of a live service.

A few of them match no selector: other scenarios, or deployments.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tailer.clock import Clock
from tailer.model import Kind, Status, Target
from tailer.simulator import Simulator, SimulatorSettings, Stage, TargetSettings, load_settings

GROUPS = ("default", "team-a", "team-b")
SCENARIO = "churn"
FIELDS = ("timestamp", "pod", "container", "stream", "msg")
_STRANGERS_SHARE = 0.1
_DEAD_SHARE = 0.2

Line: TypeAlias = tuple[Any, ...]
"""Resource group, name of the target, and FIELDS."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many executions, born within `over_s`, and how well they are looked after."""

    executions: int = 200
    over_s: float = 60.0
    look_s: float = 10.0
    lateness_s: float = 60.0
    latest_line_s: float = 10.0
    down_s: tuple[float, float] = (5.0, 15.0)
    fault_share: float = 0.02


@dataclass(frozen=True, slots=True)
class Birth:
    at_s: float
    plan: TargetSettings


@dataclass(slots=True)
class Herd:
    """Fills its service as time passes, and knows what was created when."""

    simulator: Simulator
    clock: Clock
    births: list[Birth]
    born_s: dict[Target, float] = field(default_factory=dict)  # only selected executions

    async def live(self) -> None:
        """Returns when the last one has been born."""
        began_s = self.clock.monotonic_s()
        for birth in self.births:
            await self.clock.sleep(max(0.0, began_s + birth.at_s - self.clock.monotonic_s()))
            target = self.simulator.add_target(birth.plan)
            if birth.plan.kind is Kind.EXECUTION and birth.plan.scenario_id == SCENARIO:
                self.born_s[target] = self.clock.monotonic_s()

    @property
    def shown(self) -> Counter[Line]:
        """Lines of the selected executions that the service has shown."""
        return Counter(
            line_of({**entry, "resource_group": target.resource_group, "target": target.name})
            for target in self.born_s
            for entry in self.simulator.shown(target)
        )


def herd(seed: int, shape: Shape, clock: Clock) -> Herd:
    return Herd(Simulator(_settings(seed, shape), clock), clock, _births(seed, shape))


def _settings(seed: int, shape: Shape) -> SimulatorSettings:
    lines = {"late_share": 0.1, "max_lateness_s": shape.latest_line_s, "twin_share": 0.1}
    world = {
        "seed": seed,
        "resource_groups": GROUPS,
        "fault_share": shape.fault_share,
        "faults": {"slow_s": 1.0},
        "backlog_s": 0.0,
        "token": {"expires_in_s": 30},
        "lines": lines,
        "target": [],
    }
    return load_settings(overrides=world)


def _births(seed: int, shape: Shape) -> list[Birth]:
    rng = random.Random(seed)
    strangers = round(shape.executions * _STRANGERS_SHARE)
    wanted = [_execution(rng) for _ in range(shape.executions)]
    others = [_stranger(rng) for _ in range(strangers)]
    return sorted(
        (Birth(rng.uniform(0, shape.over_s), plan) for plan in (*wanted, *others)),
        key=lambda birth: birth.at_s,
    )


def _execution(rng: random.Random, **more: Any) -> TargetSettings:
    """20 to 200 lines within 1 to 5 seconds, sometimes after a moment in the queue."""
    lives_s, lines = rng.uniform(1, 5), rng.randint(20, 200)
    starts_s = rng.choice((0.0, rng.uniform(0.1, 2.0)))
    end = Status.DEAD if rng.random() < _DEAD_SHARE else Status.COMPLETED
    queue = (Stage(at_s=0, status=Status.PENDING),) if starts_s else ()
    life = (
        *queue,
        Stage(at_s=starts_s, status=Status.RUNNING),
        Stage(at_s=starts_s + lives_s, status=end),
    )
    settings: dict[str, Any] = {
        "kind": Kind.EXECUTION,
        "resource_group": rng.choice(GROUPS),
        "scenario_id": SCENARIO,
        "story": "training",
        "rate_per_s": lines / lives_s,
        "life": life,
    }
    return TargetSettings(**settings | more)


def _stranger(rng: random.Random) -> TargetSettings:
    if rng.random() < 0.5:
        return _execution(rng, scenario_id="fraud")
    return _execution(rng, kind=Kind.DEPLOYMENT)


def line_of(entry: dict[str, Any]) -> Line:
    message = entry.get("msg")
    if isinstance(message, str):
        entry = {**entry, "msg": message.removesuffix("\n")}
    return tuple(entry.get(name) for name in ("resource_group", "target", *FIELDS))


def lines_in(folder: Path) -> Counter[Line]:
    """Every line of every `{resource_group}/{id}.log`; a torn or misplaced one is a ValueError."""
    return Counter(line for path in folder.glob("*/*.log") for line in _lines_of(path))


def _lines_of(path: Path) -> Iterator[Line]:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        raise ValueError(f"{path} ends within a line")
    for text in content.splitlines():
        line = line_of(msgspec.json.decode(text))
        if line[:2] != (path.parent.name, f"execution/{path.stem}"):
            raise ValueError(f"{path} has a line of {line[:2]}")
        yield line
