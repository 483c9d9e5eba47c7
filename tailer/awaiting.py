"""Waiting for a target that somebody is about to create."""

from collections.abc import Sequence

from tailer.clock import Clock
from tailer.discovery import TargetSource, find_target
from tailer.errors import NotFoundError
from tailer.model import Workload
from tailer.target_logs import Trouble

_LOOK_S = 2.0  # a job that was just created should not be missed for long, nor asked for in a rush


async def await_target(
    source: TargetSource,
    name: str,
    *,
    resource_groups: Sequence[str],
    deadline_s: float,
    clock: Clock,
    on_trouble: Trouble,
) -> list[Workload]:
    """What `name` means, as soon as it is there. `deadline_s` is monotonic.

    Raises:
        ConfigError: It could mean two things.
        NotFoundError: It is still not there at the deadline.
    """
    while True:
        try:
            return await find_target(
                source, name, resource_groups=resource_groups, on_trouble=on_trouble
            )
        except NotFoundError:
            left_s = deadline_s - clock.monotonic_s()
            if left_s <= 0:
                raise
        await clock.sleep(min(left_s, _LOOK_S))
