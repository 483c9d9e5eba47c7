"""What can be set, part by part: each part gets its own section and never the whole. Pure."""

from dataclasses import dataclass, field

from tailer.pacing import PaceSettings


@dataclass(frozen=True, slots=True)
class PollSettings:
    """`lateness_s`: how long after its own timestamp a line may still appear.

    `drain_s`: how long an ended target must show nothing new before it is left.
    """

    pace: PaceSettings = field(default_factory=PaceSettings)
    lateness_s: float = 60.0
    edge_s: float = 5.0
    sweep_s: float = 15.0
    status_s: float = 5.0
    drain_s: float = 60.0
