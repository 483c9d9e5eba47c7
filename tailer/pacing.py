"""How fast to ask: one budget for all requests, one pause per target. Pure.

Laws: in any `t` seconds at most `rate * t + burst` requests pass, and a pause never leaves
[0, max(interval_s, idle_interval_s)].
"""

from tailer.config.settings import PaceSettings

IDLE_GROWTH = 1.6  # six quiet polls from 1 s to 15 s: quick enough to be cheap, slow enough to see
IDLE_JITTER = 0.2  # at most this share off, so that targets that fell silent together drift apart

BURST_S = 0.5  # this much unused budget may be spent at once
FLOOR_SHARE = 1 / 32  # five halvings down; below that even one target would starve
RECOVERY_S = 60.0  # from nothing back to the full rate: limits are usually counted per minute
_EARLY_S = 1e-6  # a wait below the resolution of timers is none


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


class Reluctance:
    """Pauses after refusals that only an operator, or time, may mend: ever longer, for the log.

    `note_well` says for how long it has been well since: a while makes the next pause short.
    """

    FIRST_S = 30.0
    LAST_S = 900.0

    def __init__(self) -> None:
        self._next_s = self.FIRST_S

    def pause_s(self) -> float:
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self.LAST_S)
        return pause_s

    def note_well(self, for_s: float) -> None:
        if for_s > self.LAST_S:
            self._next_s = self.FIRST_S


class RequestBudget:
    """What all targets together may ask: a token bucket that yields to a service in trouble.

    A refusal (429, 503) halves the rate, and time gives it back additively. Refusals of
    requests that were sent before the last halving say nothing about the new rate, so a
    burst of them halves once. `now_s` is monotonic; a step back counts as no time.
    """

    def __init__(self, requests_per_s: float) -> None:
        if not requests_per_s > 0:
            raise ValueError(f"requests_per_s must be above 0, not {requests_per_s}")
        self.full_per_s = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._rate_per_s = requests_per_s
        self._allowance = self._burst
        self._now_s: float | None = None
        self._halved_s: float | None = None

    def limit(self, requests_per_s: float) -> None:
        """Another rate from now on; a rate that was halved comes back to that."""
        share = self._rate_per_s / self.full_per_s
        self.full_per_s = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._rate_per_s = requests_per_s * share

    def rate_per_s(self, now_s: float) -> float:
        self._advance(now_s)
        return self._rate_per_s

    def available(self, now_s: float) -> float:
        """How many requests may be sent at once now; below 1 one has to wait."""
        self._advance(now_s)
        return self._allowance

    def wait_s(self, now_s: float) -> float:
        """How long until one more request may be sent; 0 when it may be sent now."""
        self._advance(now_s)
        short_s = (1.0 - self._allowance) / self._rate_per_s
        return short_s if short_s > _EARLY_S else 0.0

    def take(self, now_s: float) -> None:
        """One request is sent now."""
        self._advance(now_s)
        self._allowance -= 1.0

    def halve(self, now_s: float, *, sent_s: float) -> None:
        """The service refused a request that was sent at `sent_s`: it is asked too much."""
        self._advance(now_s)
        if self._halved_s is not None and sent_s < self._halved_s:
            return
        self._rate_per_s = max(self.full_per_s * FLOOR_SHARE, self._rate_per_s / 2)
        self._allowance = min(self._allowance, 0.0)
        self._halved_s = now_s

    def _advance(self, now_s: float) -> None:
        elapsed_s = 0.0 if self._now_s is None else max(0.0, now_s - self._now_s)
        self._now_s = now_s if self._now_s is None else max(self._now_s, now_s)
        self._allowance = min(self._burst, self._allowance + elapsed_s * self._rate_per_s)
        regained_per_s = elapsed_s * self.full_per_s / RECOVERY_S
        self._rate_per_s = min(self.full_per_s, self._rate_per_s + regained_per_s)
