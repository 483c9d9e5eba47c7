"""What a selector means: all that is there once, or, followed, whatever comes as well."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import anyio
import structlog

from tailer.aicore.client import AiCoreClient
from tailer.backoff import OutageNotice
from tailer.clock import Clock
from tailer.discovery.known_targets import ended_ns
from tailer.discovery.lookup import find_target, kinds_and_id, wait_for_target
from tailer.discovery.scanner import Found, Scanner
from tailer.discovery.selector import Selector
from tailer.discovery.survey import Survey, available, survey
from tailer.errors import ApiError, NotFoundError, TailerError
from tailer.health.health import Health
from tailer.logs.pipeline import Arrivals, Reading
from tailer.logs.request import LogsRequest, plan
from tailer.model import Batch, Target, Workload
from tailer.sinks.formats.build import FormatSettings, Formatter, build_formatter
from tailer.text import duration_text
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()


class SelectedTargets:
    def __init__(
        self, client: AiCoreClient, request: LogsRequest, selector: Selector, clock: Clock
    ) -> None:
        self._client = client
        self._request = request
        self._selector = selector
        self._clock = clock

    async def seek(self, arrivals: Arrivals) -> None:
        """A FindTargets: returns only when it is not followed.

        Errors: NotFoundError when nothing matches, and nothing else is to be read.
        """
        seen = await survey([self._selector], self._client, on_retry=OutageNotice())
        self._raise_if_all_are_refused(seen)
        for group, error in seen.refusals.items():
            if not self._request.follow:  # else the scanner says so, and goes on asking
                arrivals.fail(f"resource group {group}", error)
        matching = [one for one in seen.workloads if self._selector.matches(one)]
        if not matching and not self._request.follow:
            error = NotFoundError(
                f"nothing matches {self._selector}",
                hint=f"there is {available(seen.workloads, self._selector)}; "
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
        scanner = Scanner(
            selectors=[self._selector],
            source=self._client,
            spool=arrivals.spool,
            clock=self._clock,
            health=Health(),  # `tailer logs` has no status page
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
                    sighted=partial(scanner.sighting, target),
                )
            )

        await scanner.watch(begin)

    def _has_nothing(self, reading: Reading) -> bool:
        """Whether it ended before the lines that are wanted: it need not be asked for."""
        ended = 0 if reading.known is None else ended_ns(reading.known)
        return 0 < ended < reading.start_ns - round(self._request.poll.lateness_s * NS_PER_S)

    def _raise_if_all_are_refused(self, seen: Survey) -> None:
        refused: Sequence[ApiError] = [*seen.refusals.values()]
        answered: Sequence[Workload] = seen.workloads
        if refused and not answered and len(refused) == seen.groups:
            raise refused[0]


class TargetSearch:
    """Finds the targets that were named, now or within `--wait`."""

    def __init__(
        self, client: AiCoreClient, request: LogsRequest, groups: Sequence[str], clock: Clock
    ) -> None:
        self._client = client
        self._request = request
        self._groups = groups
        self._clock = clock
        self._selected: SelectedTargets | None = None
        if request.selector is not None:
            selector = replace(
                request.selector, resource_groups=None if request.all_groups else tuple(groups)
            )
            self._selected = SelectedTargets(client, request, selector, clock)
        self._deadline_s = clock.monotonic_s() + (request.wait_s or 0.0)
        self._watched: list[Target] = []

    def formatter(self, form: FormatSettings) -> Formatter:
        """Built with the first lines, when it is known how many targets must be told apart."""
        built: list[Formatter] = []

        def write(batch: Batch) -> bytes:
            if not built:
                built.append(build_formatter(form, self._watched))
            return built[0](batch)

        return write

    def now_ns(self) -> int:
        """By the service's clock, once it has been asked anything."""
        known_ns = self._client.server_now_ns()
        return self._clock.wall_ns() if known_ns is None else known_ns

    async def seek(self, arrivals: Arrivals) -> None:
        """All that exist first, so that a mistake in one name ends the run before a line."""
        if self._request.names and self._request.all_groups:
            self._groups = await self._client.resource_groups(on_retry=OutageNotice())
        missing: list[str] = []
        found: list[Workload] = []
        for name in dict.fromkeys(self._request.names):
            try:
                found += await find_target(
                    self._client, name, resource_groups=self._groups, on_retry=OutageNotice()
                )
            except NotFoundError:
                if self._request.wait_s is None:
                    raise
                missing.append(name)
        self._expect(missing)
        self._begin(found, arrivals)
        async with anyio.create_task_group() as seeking:
            seeking.start_soon(self._seek_missing, missing, arrivals)
            if self._selected is not None:
                seeking.start_soon(self._selected.seek, arrivals)

    async def _seek_missing(self, missing: Sequence[str], arrivals: Arrivals) -> None:
        failures: dict[str, TailerError] = {}

        async def wait_for(name: str) -> None:
            try:
                self._begin(await self._await_target(name), arrivals)
            except TailerError as error:
                failures[name] = error

        async with anyio.create_task_group() as waiting:
            for name in missing:
                waiting.start_soon(wait_for, name)
        is_all = len(failures) == len(dict.fromkeys(self._request.names))
        if failures and is_all and self._selected is None:
            raise next(iter(failures.values()))
        for name, error in failures.items():
            arrivals.fail(name, error)

    async def _await_target(self, name: str) -> list[Workload]:
        log.info("target_phase", target=name, phase="waiting", reason="it does not exist yet")
        try:
            return await wait_for_target(
                self._client,
                name,
                resource_groups=self._groups,
                deadline_s=self._deadline_s,
                clock=self._clock,
                on_retry=OutageNotice(),
            )
        except NotFoundError as error:
            waited = duration_text(self._request.wait_s or 0.0)
            raise NotFoundError(
                f"{error.message}, after waiting for {waited}", hint=error.hint
            ) from error

    def _expect(self, names: Sequence[str]) -> None:
        for name in names:
            kinds, id_ = kinds_and_id(name)
            if len(kinds) == len(self._groups) == 1:
                self._watched.append(Target(self._groups[0], kinds[0], id_))

    def _begin(self, found: Sequence[Workload], arrivals: Arrivals) -> None:
        if not found:
            return
        now_ns = self._client.server_now_ns()
        assert now_ns is not None, "the targets were looked up"
        self._watched += [workload.target for workload in found]
        for reading in plan(self._request, found, now_ns=now_ns):
            arrivals.begin(reading)
