"""Find the named and selected targets of `tailer logs`, and start to read them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

import anyio
import structlog

from tailer.aicore.client import AiCoreClient
from tailer.backoff import OutageNotice
from tailer.clock import Clock
from tailer.discovery.known_targets import ended_ns
from tailer.discovery.lookup import find_target, kinds_and_id, wait_for_target
from tailer.discovery.scanner import Found, Scanner
from tailer.discovery.selector import Selector
from tailer.discovery.survey import available, survey
from tailer.errors import NotFoundError, TailerError
from tailer.health.health import Health
from tailer.logs.pipeline import Pipeline, ReadRequest
from tailer.logs.request import LogsRequest, plan
from tailer.model import Batch, Target, Workload
from tailer.sinks.formats.build import FormatSettings, Formatter, build_formatter
from tailer.text import duration_text
from tailer.timestamp import NS_PER_S

log = structlog.get_logger()


class TargetSearch:
    """Finds the named targets, now or within --wait, and the selected ones."""

    def __init__(
        self, client: AiCoreClient, request: LogsRequest, groups: Sequence[str], clock: Clock
    ) -> None:
        self._client = client
        self._request = request
        self._groups = groups
        self._clock = clock
        self._deadline_s = clock.monotonic_s() + (request.wait_s or 0.0)
        self._targets: list[Target] = []

    def formatter(self, form: FormatSettings) -> Formatter:
        """Built with the first lines, when the targets to distinguish are known."""
        built = cache(lambda: build_formatter(form, self._targets))

        def write(batch: Batch) -> bytes:
            return built()(batch)

        return write

    def now_ns(self) -> int:
        """The service's clock; this machine's before the first response."""
        service_ns = self._client.server_now_ns()
        return self._clock.wall_ns() if service_ns is None else service_ns

    async def find(self, pipeline: Pipeline) -> None:
        """A FindTargets. Looks up all names first: a wrong name ends the run before any line."""
        names = tuple(dict.fromkeys(self._request.names))
        if names and self._request.all_groups:
            self._groups = await self._client.resource_groups(on_retry=OutageNotice())
        missing: list[str] = []
        found: list[Workload] = []
        for name in names:
            try:
                found += await find_target(
                    self._client, name, resource_groups=self._groups, on_retry=OutageNotice()
                )
            except NotFoundError:
                if self._request.wait_s is None:
                    raise
                missing.append(name)
        for name in missing:
            kinds, id_ = kinds_and_id(name)
            if len(kinds) == len(self._groups) == 1:
                self._targets.append(Target(self._groups[0], kinds[0], id_))
        self._start(found, pipeline)
        async with anyio.create_task_group() as searches:
            searches.start_soon(self._find_missing, missing, pipeline)
            if self._request.selector is not None:
                groups = None if self._request.all_groups else tuple(self._groups)
                selector = replace(self._request.selector, resource_groups=groups)
                searches.start_soon(self._find_selected, selector, pipeline)

    async def _find_missing(self, missing: Sequence[str], pipeline: Pipeline) -> None:
        failures: dict[str, TailerError] = {}

        async def wait_for(name: str) -> None:
            try:
                self._start(await self._wait_for(name), pipeline)
            except TailerError as error:
                failures[name] = error

        async with anyio.create_task_group() as waiting:
            for name in missing:
                waiting.start_soon(wait_for, name)
        have_all_failed = len(failures) == len(set(self._request.names))
        if failures and have_all_failed and self._request.selector is None:
            raise next(iter(failures.values()))
        for name, error in failures.items():
            pipeline.fail(name, error)

    async def _wait_for(self, name: str) -> list[Workload]:
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

    def _start(self, found: Sequence[Workload], pipeline: Pipeline) -> None:
        if found:
            self._targets += [workload.target for workload in found]
            for read in plan(self._request, found, now_ns=_service_now_ns(self._client)):
                pipeline.start(read)

    async def _find_selected(self, selector: Selector, pipeline: Pipeline) -> None:
        """Does not return with --follow, because targets may match at any later time.

        Errors: NotFoundError when nothing matches and no target is named; an ApiError when
        all resource groups are refused.
        """
        request = self._request
        seen = await survey([selector], self._client, on_retry=OutageNotice())
        if seen.refusals and not seen.workloads and len(seen.refusals) == seen.groups:
            raise next(iter(seen.refusals.values()))
        matching = [workload for workload in seen.workloads if selector.matches(workload)]
        now_ns = _service_now_ns(self._client)
        if request.follow:  # the scanner logs refusals and retries
            existing = plan(request, matching, now_ns=now_ns)
            await self._follow(selector, existing, pipeline, now_ns=now_ns)
            return
        for group, refusal in seen.refusals.items():
            pipeline.fail(f"resource group {group}", refusal)
        if not matching:
            error = NotFoundError(
                f"nothing matches {selector}",
                hint=f"available: {available(seen.workloads, selector)}; "
                "with -f, tailer waits for a match",
            )
            if not request.names:
                raise error
            pipeline.fail("the selector", error)
        lateness_ns = round(request.poll.lateness_s * NS_PER_S)
        for read in plan(request, matching, now_ns=now_ns):
            ended = 0 if read.known is None else ended_ns(read.known)
            if not 0 < ended < read.start_ns - lateness_ns:  # else it has no lines in the range
                pipeline.start(read)

    async def _follow(
        self,
        selector: Selector,
        existing: Sequence[ReadRequest],
        pipeline: Pipeline,
        *,
        now_ns: int,
    ) -> None:
        """`existing` are the targets of the survey: only these have lines before `now_ns`."""
        planned = {read.target: read for read in existing}
        scanner = Scanner(
            selectors=[selector],
            source=self._client,
            spool=pipeline.spool,
            clock=self._clock,
            health=Health(),  # `tailer logs` has no status page
            backfill_ns=now_ns - self._request.start_ns(now_ns),
            lateness_ns=round(self._request.poll.lateness_s * NS_PER_S),
            interval_s=self._request.poll.discovery_interval_s,
        )

        def start(found: Found) -> None:
            target = found.workload.target
            read = planned.pop(target, None) or ReadRequest(target, found.start_ns, end_ns=None)
            sighted = partial(scanner.sighting, target)
            pipeline.start(replace(read, known=found.workload, sighted=sighted))

        await scanner.watch(start)


def _service_now_ns(client: AiCoreClient) -> int:
    now_ns = client.server_now_ns()
    assert now_ns is not None, "the service has just responded"
    return now_ns
