"""How fast to ask: one budget for all requests, one pause per target. Pure.

Laws: in any `t` seconds at most `rate * t + burst` requests pass, and a pause never leaves
[0, max(interval_s, idle_interval_s)].
"""

from tailer.config.settings import PaceSettings

IDLE_GROWTH = 1.6  # six quiet polls from 1 s to 15 s: quick enough to be cheap, slow enough to see
IDLE_JITTER = 0.2  # at most this share off, so that targets that fell silent together drift apart


def pause_after(
    previous_pause_s: float,
    *,
    found_lines: bool,
    settings: PaceSettings,
    jitter: float,
) -> float:
    """Seconds until the next poll of a target. `jitter` is a random number in [0, 1).

    New lines: one interval. Silence: longer and longer pauses, each at least 1.28 times the
    one before, until the idle interval.
    """
    if found_lines:
        return settings.interval_s
    longest_s = max(settings.interval_s, settings.idle_interval_s)
    grown_s = min(longest_s, max(previous_pause_s, settings.interval_s) * IDLE_GROWTH)
    return max(settings.interval_s, grown_s * (1 - IDLE_JITTER * jitter))
