"""Status of a target: when to request it, when a 404 is confirmed, when reading is finished.

A single 404 proves nothing: just after a creation the service may not find the new object,
and one replica may lag behind another. Three consecutive 404s over some time confirm it.

The last lines of a target appear within the lateness of their own timestamps. So reading
continues after the end of the target until a drain time has passed without a new line.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from tailer.clock import Clock
from tailer.config import PollSettings
from tailer.errors import NotFoundError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Kind, Sighted, Status, Target, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.reporter import TargetReporter
from tailer.timestamp import NS_PER_S, ns_or_none

NOT_STARTED = frozenset({Status.UNKNOWN, Status.PENDING})
_GONE_AFTER_S = 30.0  # 404s for so long: the target was deleted, no replica lags so far
_NO_LOGS_AFTER_S = 2.0  # the same for the logs of a target that exists
_RESPONSES_NEEDED = 3  # one may come from a replica that lags, a second one from its cache
_LISTING_VALID_S = 60.0  # for longer it does not replace a request


@dataclass(slots=True, kw_only=True)
class StatusTracker:
    """Tracks the status of one target in `health`. `details` is a response just received.

    The whole object is requested once, and again when the status has changed: only then are
    there new details, such as the cause of death. In between only the status is requested,
    and nothing at all while the listings (`sighted`) show the same status.

    Errors: AuthError and PermanentApiError; NotFoundError only for a target never found.
    """

    target: Target
    source: LogSource
    clock: Clock
    health: TargetHealth
    reporter: TargetReporter
    settings: PollSettings
    details: Workload | None = None
    sighted: Sighted = lambda: None
    drain: "Drain" = field(init=False)
    logs_missing: "NotFoundStreak" = field(init=False)
    _target_missing: "NotFoundStreak" = field(init=False)
    _refreshed_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        if self.details is not None:
            self.health.details, self.health.status = self.details, self.details.status
        self.drain = Drain(self.settings.drain_s, self.settings.lateness_s)
        self.logs_missing = NotFoundStreak(_NO_LOGS_AFTER_S)
        self._target_missing = NotFoundStreak(_GONE_AFTER_S)

    @property
    def is_gone(self) -> bool:
        """Whether the target was found before, and is confirmed to be deleted."""
        return self._target_missing.is_confirmed

    @property
    def is_not_found(self) -> bool:
        """Whether the last response was a 404, which may be temporary."""
        return self._target_missing.has_begun

    async def start(self) -> None:
        if self.details is None:
            await self.refresh()
        else:
            self._record(self.details)

    def is_due(self) -> bool:
        """Whether to request it now. An execution that has ended stays so; a deployment may not."""
        if self.drain.has_begun and self.target.kind is Kind.EXECUTION:
            return False
        interval_s = self.settings.status_s
        sighting = self.sighted()
        if sighting is not None:
            if sighting.seen_s > self._refreshed_s:
                if sighting.workload.status is not self.health.status:
                    return True
                self._refreshed_s = sighting.seen_s
            interval_s = max(interval_s, _LISTING_VALID_S)
        return self.clock.monotonic_s() - self._refreshed_s >= interval_s

    async def refresh(self) -> None:
        try:
            workload = await self._request()
        except NotFoundError:
            if self.details is None:
                raise
            self._refreshed_s = self.clock.monotonic_s()
            self._target_missing.record(self._refreshed_s)
            return
        self._target_missing.end()
        self.reporter.answered()
        self._record(workload)

    async def _request(self) -> Workload:
        if self.details is None:
            return await self._get(only_status=False)
        workload = await self._get(only_status=True)
        if workload.status is not self.health.status:
            with suppress(NotFoundError):  # deleted in between: the new status is valid
                return await self._get(only_status=False)
        return workload

    async def _get(self, *, only_status: bool) -> Workload:
        workload = await self.source.get(
            self.target, only_status=only_status, on_retry=self.reporter.failed
        )
        if not only_status:
            self.details = workload
        return workload

    def _record(self, workload: Workload) -> None:
        self._refreshed_s = self.clock.monotonic_s()
        self.health.status = workload.status
        self.health.details = self.details
        server_now_ns = self.source.server_now_ns()
        assert server_now_ns is not None, "the service has just answered"
        self.drain.record_status(workload, now_s=self._refreshed_s, server_now_ns=server_now_ns)
        if workload.status in NOT_STARTED and not self.health.totals.lines:
            self.reporter.enter(Phase.WAITING, reason=f"not started ({workload.status})")


@dataclass(slots=True)
class Drain:
    """The time from a terminal status to the last read. Pure; times of `now_s` are monotonic."""

    drain_s: float
    lateness_s: float
    _quiet_since_s: float | None = None
    _alive_s: float = float("-inf")

    @property
    def has_begun(self) -> bool:
        return self._quiet_since_s is not None

    def record_status(self, workload: Workload, *, now_s: float, server_now_ns: int) -> None:
        """Start at the completion time, so that a target that ended long ago needs one read.

        Never start before the last response with a status that is not terminal.
        """
        if not workload.status.is_terminal:
            self._quiet_since_s = None
            self._alive_s = now_s
        elif self._quiet_since_s is None:
            self._quiet_since_s = max(self._alive_s, now_s - _ended_ago_s(workload, server_now_ns))

    def is_over_after(self, read_began_s: float, *, found_lines: bool) -> bool:
        """Whether the complete read that began then was the last one needed."""
        if self._quiet_since_s is None:
            return False
        quiet_s = read_began_s - self._quiet_since_s
        if found_lines and quiet_s < self.drain_s + self.lateness_s:
            self._quiet_since_s = read_began_s
            return False
        return quiet_s >= self.drain_s


def _ended_ago_s(workload: Workload, server_now_ns: int) -> float:
    ended_ns = ns_or_none(workload.completion_time)
    return 0.0 if ended_ns is None else max(0.0, (server_now_ns - ended_ns) / NS_PER_S)


@dataclass(slots=True)
class NotFoundStreak:
    """404s without another response between them; confirmed after three. Monotonic times."""

    confirmed_after_s: float
    _first_s: float = 0.0
    _last_s: float = 0.0
    _responses: int = 0

    def record(self, now_s: float) -> None:
        self._first_s = self._first_s if self._responses else now_s
        self._last_s = now_s
        self._responses += 1

    def end(self) -> None:
        self._responses = 0

    @property
    def has_begun(self) -> bool:
        return self._responses > 0

    @property
    def is_confirmed(self) -> bool:
        lasted_s = self._last_s - self._first_s
        return self._responses >= _RESPONSES_NEEDED and lasted_s >= self.confirmed_after_s
