"""What a selector means: all that is there once, or, followed, whatever comes as well."""

from collections.abc import Sequence
from functools import partial

from tailer.aicore.client import AiCoreClient
from tailer.cli.logs_request import LogsRequest, plan
from tailer.cli.service import Hiccups
from tailer.clock import Clock
from tailer.errors import ApiError, NotFoundError
from tailer.first_looks import there_is
from tailer.lookout import Found, Lookout, Survey, survey
from tailer.model import Workload
from tailer.roster import ended_ns
from tailer.selection import Selector
from tailer.terminal import Arrivals, Reading
from tailer.timestamp import NS_PER_S


class SelectedTargets:
    def __init__(
        self, client: AiCoreClient, request: LogsRequest, selector: Selector, clock: Clock
    ) -> None:
        self._client = client
        self._request = request
        self._selector = selector
        self._clock = clock

    async def seek(self, arrivals: Arrivals) -> None:
        """A Seek: returns only when it is not followed.

        Errors: NotFoundError when nothing matches, and nothing else is to be read.
        """
        seen = await survey([self._selector], self._client, on_trouble=Hiccups())
        self._raise_if_all_are_refused(seen)
        for group, error in seen.refusals.items():
            if not self._request.follow:  # else the lookout says so, and goes on asking
                arrivals.fail(f"resource group {group}", error)
        matching = [one for one in seen.workloads if self._selector.matches(one)]
        if not matching and not self._request.follow:
            error = NotFoundError(
                f"nothing matches {self._selector}",
                hint=f"there is {there_is(seen.workloads, self._selector)}; "
                "-f waits for what comes",
            )
            if not self._request.names:
                raise error
            arrivals.fail("the selector", error)
        now_ns = self._client.server_now_ns()
        assert now_ns is not None, "the service has just answered"
        readings = plan(self._request, matching, now_ns=now_ns)
        if self._request.follow:
            await self._follow(readings, arrivals, now_ns=now_ns)
            return
        for reading in readings:
            if not self._has_nothing(reading):
                arrivals.begin(reading)

    async def _follow(
        self, readings: Sequence[Reading], arrivals: Arrivals, *, now_ns: int
    ) -> None:
        """`readings` are what is there at first, which alone has lines before now."""
        at_first = {reading.target: reading for reading in readings}
        lookout = Lookout(
            [self._selector],
            source=self._client,
            spool=arrivals.spool,
            clock=self._clock,
            backfill_ns=now_ns - self._request.start_ns(now_ns),
            lateness_ns=round(self._request.poll.lateness_s * NS_PER_S),
            interval_s=self._request.poll.discovery_interval_s,
        )

        def begin(found: Found) -> None:
            target = found.workload.target
            planned = at_first.pop(target, None)
            arrivals.begin(
                Reading(
                    target,
                    found.start_ns if planned is None else planned.start_ns,
                    end_ns=None,
                    last=None if planned is None else planned.last,
                    known=found.workload,
                    sighted=partial(lookout.sighting, target),
                )
            )

        await lookout.watch(begin)

    def _has_nothing(self, reading: Reading) -> bool:
        """Whether it ended before the lines that are wanted: it need not be asked for."""
        ended = 0 if reading.known is None else ended_ns(reading.known)
        return 0 < ended < reading.start_ns - round(self._request.poll.lateness_s * NS_PER_S)

    def _raise_if_all_are_refused(self, seen: Survey) -> None:
        refused: Sequence[ApiError] = [*seen.refusals.values()]
        answered: Sequence[Workload] = seen.workloads
        if refused and not answered and len(refused) == seen.groups:
            raise refused[0]
