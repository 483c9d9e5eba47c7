"""Liveness and readiness: stalled() and not_ready(), verdicts over Health. Pure.

A quiet component is live if it has a recorded reason: no work, a request that is retried,
a spool that is full because a sink is down. Without a reason it is stalled.
"""

from collections.abc import Iterator
from math import inf

from tailer.health.health import Health
from tailer.health.parts import LOOP_STALL_S, STALL_S, Activity, SinkHealth
from tailer.health.targets import Phase
from tailer.model import Target

_PHASES_WITH_ANSWER = frozenset(
    {Phase.WAITING, Phase.FAILED, Phase.DRAINING, Phase.ENDED, Phase.GONE}
)
# A probe that arrived while the loop was blocked is answered only afterwards: the blockage
# counts for this much longer, or no probe would ever see it.
_BLOCKED_RECENTLY_S = 10.0


def stalled(health: Health, now_s: float) -> list[str]:
    """Reasons for a restart, a sentence each; empty if the process is healthy. Monotonic."""
    return [*_blocked_loop(health, now_s)] or [*_stalled_tasks(health, now_s)]


def not_ready(health: Health) -> list[str]:
    """What has not worked for the first time yet, a few words each; empty if ready."""
    if not health.has_begun:
        return ["the spool is not open yet"]
    if health.is_stopping:
        return ["tailer is stopping"]
    missing = [] if health.requests.tokens_granted else ["no token yet"]
    missing += [f"sink {one.name} is not open" for one in health.sinks.values() if not one.is_open]
    for name in health.names:
        is_unresolved = not name.targets and not name.reason
        if is_unresolved or not all(_is_answered(health, one) for one in name.targets):
            missing.append(f"{name.name} in {name.resource_group} was not read yet")
    missing += [f"no list of {one.what} yet" for one in health.listings.values() if not one.is_done]
    return missing


def _is_answered(health: Health, target: Target) -> bool:
    """Whether the service has answered for `target`; true for one that was retired, too."""
    one = health.targets.get(target)
    return one is None or one.totals.reads > 0 or one.phase in _PHASES_WITH_ANSWER


def _blocked_loop(health: Health, now_s: float) -> Iterator[str]:
    loop = health.loop
    if loop.due_s is not None and now_s - loop.due_s >= LOOP_STALL_S:
        yield f"event loop blocked for {now_s - loop.due_s:.0f} s"
    elif loop.blocked_until_s is not None and now_s - loop.blocked_until_s < _BLOCKED_RECENTLY_S:
        yield f"event loop was blocked for {loop.blocked_s:.0f} s until just now"


def _stalled_tasks(health: Health, now_s: float) -> Iterator[str]:
    excused_s = _excused_until_s(health)
    for name, activity, queue_s in _activities(health):
        if now_s > max(activity.due_s + queue_s, excused_s + STALL_S):
            yield f"{name}: {activity.step} for {now_s - activity.since_s:.0f} s"
    for sink in health.sinks.values():
        if _is_idle_with_lines(sink, now_s) and now_s > excused_s + STALL_S:
            yield f"sink {sink.name} is idle although {sink.lag_lines} lines are pending"


def _excused_until_s(health: Health) -> float:
    """When a full spool or a blocked loop last gave every task a reason to wait."""
    times = (health.spool.last_blocked_s, health.loop.blocked_until_s)
    return max((moment_s for moment_s in times if moment_s is not None), default=-inf)


def _activities(health: Health) -> Iterator[tuple[str, Activity, float]]:
    """For each task: its name, its activity, and how long its requests may queue."""
    for sink in health.sinks.values():
        yield f"sink {sink.name}", sink.activity, 0.0
    if health.is_stopping:
        return  # polling and discovery have stopped
    queue_s = health.requests.longest_wait_s
    for name in health.names:
        yield f"{name.name} in {name.resource_group}", name.activity, queue_s
    for target, one in health.targets.items():
        yield f"{target.name} in {target.resource_group}", one.activity, queue_s
    for listing in health.listings.values():
        yield listing.what, listing.activity, queue_s


def _is_idle_with_lines(sink: SinkHealth, now_s: float) -> bool:
    """Whether an open sink has waited for lines for STALL_S while lines were pending."""
    is_idle = sink.activity.due_s == inf and sink.is_open
    return is_idle and min(sink.lag_s, now_s - sink.activity.since_s) > STALL_S
