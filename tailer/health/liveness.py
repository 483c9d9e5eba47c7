"""Whether all is well, from what everybody has said. Pure.

Quiet is well where somebody has said why: nothing to do, a request that is tried again, a
spool that is full because a sink waits. Silence without a reason is not.
"""

from collections.abc import Iterator
from math import inf

from tailer.health.health import Health
from tailer.health.parts import LOOP_STALL_S, STALL_S, Activity, SinkHealth
from tailer.health.targets import Phase
from tailer.model import Target

_ANSWERED = frozenset({Phase.WAITING, Phase.FAILED, Phase.DRAINING, Phase.ENDED, Phase.GONE})
# A question that came while the loop stood still is answered after that, but not with "well".
_STOOD_OF_LATE_S = 10.0


def stalled(health: Health, now_s: float) -> list[str]:
    """Why a restart would help, each in a sentence; empty when all is well. Monotonic."""
    standing = [*_standing_loop(health, now_s)]
    return standing or [*_hanging_tasks(health, now_s)]


def not_ready(health: Health) -> list[str]:
    """What has still to work for the first time, each in a few words; empty when ready."""
    if not health.has_begun:
        return ["the spool is not open yet"]
    if health.is_stopping:
        return ["it is stopping"]
    lacking = [] if health.requests.tokens_granted else ["no token yet"]
    lacking += [f"sink {one.name} is not open" for one in health.sinks.values() if not one.is_open]
    for name in health.names:
        is_new = not name.targets and not name.reason
        unread = [one for one in name.targets if not _is_answered(health, one)]
        if is_new or unread:
            lacking.append(f"{name.name} in {name.resource_group} was not read yet")
    lacking += [f"no list of {one.what} yet" for one in health.looks.values() if not one.is_done]
    return lacking


def _is_answered(health: Health, target: Target) -> bool:
    """Also one that nobody knows any more: it was retired."""
    one = health.targets.get(target)
    return one is None or one.reads > 0 or one.phase in _ANSWERED


def _standing_loop(health: Health, now_s: float) -> Iterator[str]:
    loop = health.loop
    if loop.due_s is not None and now_s - loop.due_s >= LOOP_STALL_S:
        yield f"the event loop has been standing still for {now_s - loop.due_s:.0f} s"
    elif loop.stood_upto_s is not None and now_s - loop.stood_upto_s < _STOOD_OF_LATE_S:
        yield f"the event loop has just stood still for {loop.stood_s:.0f} s"


def _hanging_tasks(health: Health, now_s: float) -> Iterator[str]:
    excused_s = _excused_s(health)
    for what, activity, patience_s in _activities(health):
        if now_s > max(activity.due_s + patience_s, excused_s + STALL_S):
            yield f"{what}: {activity.step} for {now_s - activity.since_s:.0f} s"
    for sink in health.sinks.values():
        if _is_idle(sink, now_s) and now_s > excused_s + STALL_S:
            yield f"sink {sink.name} takes none of the {sink.lag_lines} lines that wait for it"


def _excused_s(health: Health) -> float:
    """When everybody last had a reason to wait: for the spool, or because nothing turned."""
    reasons = (health.spool.waited_s, health.loop.stood_upto_s)
    return max((moment_s for moment_s in reasons if moment_s is not None), default=-inf)


def _activities(health: Health) -> Iterator[tuple[str, Activity, float]]:
    """Of each task: what it is about, its pulse, and for how long it may have to queue."""
    for sink in health.sinks.values():
        yield f"sink {sink.name}", sink.activity, 0.0
    if health.is_stopping:
        return  # nobody reads any more
    queue_s = health.requests.longest_wait_s
    for name in health.names:
        yield f"{name.name} in {name.resource_group}", name.activity, queue_s
    for target, one in health.targets.items():
        yield f"{target.name} in {target.resource_group}", one.activity, queue_s
    for look in health.looks.values():
        yield look.what, look.activity, queue_s


def _is_idle(sink: SinkHealth, now_s: float) -> bool:
    """It says that it waits for lines, and there have been some all the while."""
    is_resting = sink.activity.due_s == inf and sink.is_open
    return is_resting and min(sink.lag_s, now_s - sink.activity.since_s) > STALL_S
