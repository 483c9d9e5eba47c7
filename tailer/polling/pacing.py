"""Pause between two polls of a target. Pure.

Law: a pause is always in [0, max(interval_s, idle_interval_s)].
"""

from tailer.config.settings import PaceSettings

IDLE_GROWTH = 1.6  # six polls without lines from 1 s to 15 s: cheap soon, and not too slow at first
IDLE_JITTER = 0.2  # share of the pause; targets that became idle together are spread out


def pause_after(
    previous_pause_s: float,
    *,
    found_lines: bool,
    settings: PaceSettings,
    jitter: float,
) -> float:
    """Seconds until the next poll of a target. `jitter` is a random number in [0, 1).

    After new lines `interval_s`. Without new lines each pause is at least 1.28 times the
    previous one, up to `idle_interval_s`.
    """
    if found_lines:
        return settings.interval_s
    longest_s = max(settings.interval_s, settings.idle_interval_s)
    grown_s = min(longest_s, max(previous_pause_s, settings.interval_s) * IDLE_GROWTH)
    return max(settings.interval_s, grown_s * (1 - IDLE_JITTER * jitter))
