"""Says what happens to a target, once: to its health for whoever asks, to the log for people.

A line in the log only when something changes, so that silence means that all is well.
"""

import structlog

from tailer.clock import Clock
from tailer.errors import TransientApiError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Gap, GapReason, Window

log = structlog.get_logger()


class TargetReporter:
    def __init__(self, health: TargetHealth, clock: Clock) -> None:
        self._health = health
        self._clock = clock

    def enter(self, phase: Phase, *, reason: str = "") -> None:
        """The target is in `phase` now. From GONE nothing leads back."""
        if self._health.phase is Phase.GONE:
            return
        if self._health.enter(phase, now_s=self._clock.monotonic_s(), reason=reason):
            fields = {"reason": reason} if reason else {}
            log.info("target_phase", target=self._health.target.name, phase=phase.value, **fields)

    def begin(self, doing: str, *, within_s: float = 0.0) -> None:
        """What the target's task does now, and how long it is meant to take."""
        self._health.activity.start(doing, now_s=self._clock.monotonic_s(), within_s=within_s)

    def rest(self, doing: str) -> None:
        """Nothing will be done for the target any more."""
        self._health.activity.idle(doing, now_s=self._clock.monotonic_s())

    def failed(self, error: TransientApiError, retry_in_s: float) -> None:
        """A request failed and is sent again in `retry_in_s`."""
        now_s = self._clock.monotonic_s()
        outage = self._health.fail(now_s=now_s, retry_in_s=retry_in_s, reason=error.message)
        if outage is not None:
            log.warning(
                "requests_failing",
                target=self._health.target.name,
                error=error.message,
                for_s=round(now_s - outage.since_s, 1),
                retry_in_s=round(retry_in_s, 1),
            )

    def answered(self) -> None:
        """A request went through."""
        now_s = self._clock.monotonic_s()
        self._health.activity.start("asking the service", now_s=now_s)
        outage = self._health.recover(now_s=now_s)
        if outage is not None:
            after_s = round(now_s - outage.since_s, 1)
            log.info("requests_recovered", target=self._health.target.name, after_s=after_s)

    def gap(self, window: Window, reason: GapReason, detail: str) -> None:
        """Lines of `window` may be missing."""
        gap = Gap(self._health.target, window.start_ns, window.end_ns, reason, detail)
        if self._health.note_gap(gap):
            log.error("gap", target=self._health.target.name, reason=reason.value, error=detail)
