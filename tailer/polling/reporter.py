"""Reports changes of a target's state to its health record and, once each, to the log."""

import structlog

from tailer.backoff import OutageNotice
from tailer.clock import Clock
from tailer.errors import TransientApiError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Gap, GapReason, Window

log = structlog.get_logger()

REQUESTING = "asking the service"


class TargetReporter:
    def __init__(self, health: TargetHealth, clock: Clock) -> None:
        self._health = health
        self._clock = clock
        self._name = health.target.name
        self._notice = OutageNotice(
            "requests_failing", "requests_recovered", fields={"target": self._name}, clock=clock
        )

    def enter(self, phase: Phase, *, reason: str = "") -> None:
        """Set the phase of the target. GONE is final."""
        if self._health.phase is Phase.GONE:
            return
        if self._health.enter(phase, now_s=self._clock.monotonic_s(), reason=reason):
            fields = {"reason": reason} if reason else {}
            log.info("target_phase", target=self._name, phase=phase.value, **fields)

    def start(self, step: str = REQUESTING, *, within_s: float = 0.0) -> None:
        """Record the current step of the target's task, and its planned duration."""
        self._health.activity.start(step, now_s=self._clock.monotonic_s(), within_s=within_s)

    def finish(self) -> None:
        """Record that the target's task has no work left."""
        self._health.activity.idle("finished", now_s=self._clock.monotonic_s())

    def failed(self, error: TransientApiError, retry_in_s: float) -> None:
        """Record a failed request that is retried in `retry_in_s`. An OnRetry."""
        now_s = self._clock.monotonic_s()
        self._health.fail(now_s=now_s, retry_in_s=retry_in_s, reason=error.message)
        self._notice(error, retry_in_s)

    def answered(self) -> None:
        """Record a successful request."""
        self.start()
        self._health.recover(now_s=self._clock.monotonic_s())
        self._notice.end()

    def gap(self, window: Window, reason: GapReason, detail: str) -> None:
        """Report that lines of `window` may be missing."""
        gap = Gap(self._health.target, window.start_ns, window.end_ns, reason, detail)
        if self._health.record_gap(gap):
            log.error("gap", target=self._name, reason=reason.value, error=detail)
