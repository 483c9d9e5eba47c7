"""Whether a target waits, runs, has ended or is gone: asked as seldom and cheaply as will do."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tailer.absence import Absence
from tailer.clock import Clock
from tailer.ending import Ending
from tailer.errors import NotFoundError
from tailer.health import Phase, TargetHealth
from tailer.model import Kind, Status, Target, Workload
from tailer.reporter import Reporter
from tailer.target_logs import LogSource

NOT_STARTED = frozenset({Status.UNKNOWN, Status.PENDING})
_GONE_BELIEF_S = 30.0  # a target denied for so long: deleted, rather than a replica behind
_UNSEEN_S = 60.0  # a list that fails, or is seldom asked for, is not relied on for longer


@dataclass(frozen=True, slots=True)
class Sighting:
    """A target in a list that was asked for at `seen_s`, which is monotonic."""

    workload: Workload
    seen_s: float


Sighted = Callable[[], Sighting | None]
"""The target's last sighting; None when the last list did not have it, or there is no list."""


class StatusWatch:
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
        reporter: Reporter,
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
            self._target, only_status=only_status, on_trouble=self._reporter.failed
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
            self._reporter.enter(Phase.WAITING, why=f"it has not started ({workload.status})")
