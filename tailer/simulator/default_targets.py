"""The built-in targets: one for each course of statuses, with ids that documentation can name."""

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


def target_settings(
    target: Target,
    *stages: tuple[float, Status],
    weight: float = 1.0,
    pods: int = 1,
    rate_per_s: float | None = None,
) -> TargetSettings:
    """A serving deployment or a training execution; without stages, it is RUNNING throughout."""
    is_serving = target.kind is Kind.DEPLOYMENT
    return TargetSettings(
        kind=target.kind,
        id=target.id,
        resource_group=target.resource_group,
        story="inference" if is_serving else "training",
        executable_id="churn-serving" if is_serving else "churn-training",
        pods=pods,
        containers=(
            ("kserve-container", "queue-proxy") if is_serving else ("main", "readable-metrics")
        ),
        weight=weight,
        rate_per_s=rate_per_s,
        life=tuple(Stage(at_s=at_s, status=status) for at_s, status in stages),
    )


DEFAULT_TARGETS: Final = (
    target_settings(INFERENCE, weight=6.0, pods=3),
    target_settings(SLOW_START, (0, Status.UNKNOWN), (5, Status.PENDING), (20, Status.RUNNING)),
    target_settings(
        LONG_STOPPED, (-_DAY_S - 600, Status.RUNNING), (-_DAY_S, Status.STOPPED), rate_per_s=0.2
    ),
    target_settings(CRASHING, (-300, Status.RUNNING), (60, Status.DEAD)),
    target_settings(COMPLETING, (-120, Status.RUNNING), (45, Status.COMPLETED)),
    target_settings(STOPPED, (-200, Status.RUNNING), (25, Status.STOPPING), (30, Status.STOPPED)),
    target_settings(
        QUEUED,
        (0, Status.UNKNOWN),
        (4, Status.PENDING),
        (15, Status.RUNNING),
        (75, Status.COMPLETED),
    ),
    target_settings(
        LONG_COMPLETED, (-_DAY_S - 900, Status.RUNNING), (-_DAY_S, Status.COMPLETED), rate_per_s=0.5
    ),
    target_settings(TEAM_INFERENCE, weight=2.0, pods=2),
    target_settings(TEAM_TRAINING),
)
