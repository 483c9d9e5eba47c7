"""The built-in targets: one of each kind of life, with ids that documentation can name."""

from typing import Final

from tailer.model import Kind, Status, Target
from tailer.simulator.settings import Stage, TargetSettings

INFERENCE: Final = Target("default", Kind.DEPLOYMENT, "d0000000000000a1")
SLOW_START: Final = Target("default", Kind.DEPLOYMENT, "d0000000000000a2")
LONG_STOPPED: Final = Target("default", Kind.DEPLOYMENT, "d0000000000000a3")
CRASHING: Final = Target("default", Kind.EXECUTION, "e0000000000000e1")
COMPLETING: Final = Target("default", Kind.EXECUTION, "e0000000000000e2")
STOPPED: Final = Target("default", Kind.EXECUTION, "e0000000000000e3")
QUEUED: Final = Target("default", Kind.EXECUTION, "e0000000000000e4")
LONG_COMPLETED: Final = Target("default", Kind.EXECUTION, "e0000000000000e5")
TEAM_INFERENCE: Final = Target("team-a", Kind.DEPLOYMENT, "d0000000000000b1")
TEAM_TRAINING: Final = Target("team-a", Kind.EXECUTION, "e0000000000000f1")

_DAY_S: Final = 86_400.0


def built_in_targets() -> tuple[TargetSettings, ...]:
    return (
        _serving(INFERENCE, weight=6.0, pods=3),
        _serving(
            SLOW_START,
            life=_life((0, Status.UNKNOWN), (5, Status.PENDING), (20, Status.RUNNING)),
        ),
        _serving(
            LONG_STOPPED,
            rate_per_s=0.2,
            life=_life((-_DAY_S - 600, Status.RUNNING), (-_DAY_S, Status.STOPPED)),
        ),
        _training(CRASHING, life=_life((-300, Status.RUNNING), (60, Status.DEAD))),
        _training(COMPLETING, life=_life((-120, Status.RUNNING), (45, Status.COMPLETED))),
        _training(
            STOPPED,
            life=_life((-200, Status.RUNNING), (25, Status.STOPPING), (30, Status.STOPPED)),
        ),
        _training(
            QUEUED,
            life=_life(
                (0, Status.UNKNOWN),
                (4, Status.PENDING),
                (15, Status.RUNNING),
                (75, Status.COMPLETED),
            ),
        ),
        _training(
            LONG_COMPLETED,
            rate_per_s=0.5,
            life=_life((-_DAY_S - 900, Status.RUNNING), (-_DAY_S, Status.COMPLETED)),
        ),
        _serving(TEAM_INFERENCE, weight=2.0, pods=2),
        _training(TEAM_TRAINING),
    )


def _life(*turns: tuple[float, Status]) -> tuple[Stage, ...]:
    return tuple(Stage(at_s=at_s, status=status) for at_s, status in turns)


def _serving(
    target: Target,
    *,
    weight: float = 1.0,
    pods: int = 1,
    rate_per_s: float | None = None,
    life: tuple[Stage, ...] = (),
) -> TargetSettings:
    return TargetSettings(
        kind=target.kind,
        id=target.id,
        resource_group=target.resource_group,
        story="inference",
        scenario_id="churn",
        executable_id="churn-serving",
        pods=pods,
        containers=("kserve-container", "queue-proxy"),
        weight=weight,
        rate_per_s=rate_per_s,
        life=life,
    )


def _training(
    target: Target, *, rate_per_s: float | None = None, life: tuple[Stage, ...] = ()
) -> TargetSettings:
    return TargetSettings(
        kind=target.kind,
        id=target.id,
        resource_group=target.resource_group,
        story="training",
        scenario_id="churn",
        executable_id="churn-training",
        containers=("main", "readable-metrics"),
        rate_per_s=rate_per_s,
        life=life,
    )
