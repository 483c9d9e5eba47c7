"""Waiting, running, ended, gone: when to ask, when to believe a 404, when to stop.

When a target that has ended may be left. Pure.

Its last lines may still be on their way: they appear within the lateness of their own
timestamps. So it is read on until a drain time has passed with nothing new.

When a 404 is to be believed. Pure.

Just after a creation the service may not know yet what it has been given, and one replica
may know less than another. So a 404 means something only when it is all that is heard.

Whether a target waits, runs, has ended or is gone: asked as seldom and cheaply as will do.
"""

from contextlib import suppress

from tailer.clock import Clock
from tailer.errors import NotFoundError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import Kind, Sighted, Status, Target, Workload
from tailer.polling.log_reader import LogSource
from tailer.polling.reporter import TargetReporter
from tailer.timestamp import NS_PER_S, parse_ns


class Ending:
    """`has_begun` from a terminal status on, until another one. Times of `now_s` are monotonic."""

    def __init__(self, *, drain_s: float, lateness_s: float) -> None:
        self._drain_s = drain_s
        self._settled_s = drain_s + lateness_s
        self._quiet_since_s: float | None = None
        self._alive_s = float("-inf")

    @property
    def has_begun(self) -> bool:
        return self._quiet_since_s is not None

    def note_status(self, workload: Workload, *, now_s: float, server_now_ns: int) -> None:
        """A target that says when it ended counts from then: an old one needs one read.

        Never from before it was last seen not to have ended, whatever it says.
        """
        if not workload.status.is_terminal:
            self._quiet_since_s = None
            self._alive_s = now_s
        elif self._quiet_since_s is None:
            self._quiet_since_s = max(self._alive_s, now_s - _ended_ago_s(workload, server_now_ns))

    def is_over_after(self, read_began_s: float, *, found_lines: bool) -> bool:
        """Whether the whole read that began then was the last one needed."""
        if self._quiet_since_s is None:
            return False
        quiet_s = read_began_s - self._quiet_since_s
        if found_lines and quiet_s < self._settled_s:
            self._quiet_since_s = read_began_s
            return False
        return quiet_s >= self._drain_s


def _ended_ago_s(workload: Workload, server_now_ns: int) -> float:
    try:
        ended_ns = parse_ns(workload.completion_time)
    except ValueError:
        return 0.0
    return max(0.0, (server_now_ns - ended_ns) / NS_PER_S)


_ANSWERS = 3  # one may be a replica that lags, two its echo


class Absence:
    """Answers of 404 since the last other one: three, over `belief_s`. Times are monotonic."""

    def __init__(self, *, belief_s: float) -> None:
        self._belief_s = belief_s
        self._since_s: float | None = None
        self._now_s = 0.0
        self._answers = 0

    def note(self, now_s: float) -> None:
        self._since_s = now_s if self._since_s is None else self._since_s
        self._now_s = now_s
        self._answers += 1

    def end(self) -> None:
        self._since_s = None
        self._answers = 0

    @property
    def has_begun(self) -> bool:
        return self._since_s is not None

    @property
    def is_believed(self) -> bool:
        if self._since_s is None or self._answers < _ANSWERS:
            return False
        return self._now_s - self._since_s >= self._belief_s


NOT_STARTED = frozenset({Status.UNKNOWN, Status.PENDING})
_GONE_BELIEF_S = 30.0  # a target denied for so long: deleted, rather than a replica behind
_UNSEEN_S = 60.0  # a list that fails, or is seldom asked for, is not relied on for longer


class StatusTracker:
    """Tells `health` and `ending` what it learns. `known` is the target, if it was just asked for.

    Everything is asked for once, and again when the status has changed, for only then is
    there anything new: what it died of, say. In between, the status alone will do; where
    somebody lists all targets anyhow, nothing is asked for as long as the lists show no change.

    Errors: AuthError and PermanentApiError; NotFoundError only while it was never seen.
    """

    def __init__(
        self,
        target: Target,
        *,
        source: LogSource,
        clock: Clock,
        health: TargetHealth,
        reporter: TargetReporter,
        ending: Ending,
        known: Workload | None = None,
        sighted: Sighted = lambda: None,
    ) -> None:
        self._target = target
        self._source = source
        self._clock = clock
        self._health = health
        self._reporter = reporter
        self._ending = ending
        self._known = known
        self._sighted = sighted
        if known is not None:
            health.known, health.status = known, known.status
        self._asked_s = float("-inf")
        self._absence = Absence(belief_s=_GONE_BELIEF_S)

    @property
    def is_gone(self) -> bool:
        """It was there, and the service has denied it for long enough to be believed."""
        return self._absence.is_believed

    @property
    def is_denied(self) -> bool:
        """The service said last that there is no such target: that alone may pass."""
        return self._absence.has_begun

    def is_due(self, status_s: float) -> bool:
        """An execution that has ended does not come back; a deployment may be changed."""
        if self._ending.has_begun and self._target.kind is Kind.EXECUTION:
            return False
        sighting = self._sighted()
        if sighting is not None:
            if sighting.seen_s > self._asked_s:
                if sighting.workload.status is not self._health.status:
                    return True
                self._asked_s = sighting.seen_s
            status_s = max(status_s, _UNSEEN_S)
        return self._clock.monotonic_s() - self._asked_s >= status_s

    async def begin(self) -> None:
        if self._known is None:
            await self.ask()
        else:
            self._note(self._known)

    async def ask(self) -> None:
        try:
            workload = await self._ask()
        except NotFoundError:
            if self._known is None:
                raise
            self._asked_s = self._clock.monotonic_s()
            self._absence.note(self._asked_s)
            return
        self._absence.end()
        self._reporter.answered()
        self._note(workload)

    async def _ask(self) -> Workload:
        if self._known is None:
            return await self._get(only_status=False)
        workload = await self._get(only_status=True)
        if workload.status is not self._health.status:
            with suppress(NotFoundError):  # deleted meanwhile: the status was seen all the same
                return await self._get(only_status=False)
        return workload

    async def _get(self, *, only_status: bool) -> Workload:
        workload = await self._source.get(
            self._target, only_status=only_status, on_retry=self._reporter.failed
        )
        if not only_status:
            self._known = workload
        return workload

    def _note(self, workload: Workload) -> None:
        self._asked_s = self._clock.monotonic_s()
        self._health.status = workload.status
        self._health.known = self._known
        server_now_ns = self._source.server_now_ns()
        assert server_now_ns is not None, "it has just answered"
        self._ending.note_status(workload, now_s=self._asked_s, server_now_ns=server_now_ns)
        if workload.status in NOT_STARTED and not self._health.lines:
            self._reporter.enter(Phase.WAITING, reason=f"it has not started ({workload.status})")
