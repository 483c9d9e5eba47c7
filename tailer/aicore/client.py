"""The API as methods: logs, get, list, count, resource groups.

How many lines one answer of a target may hold before it is too large. Pure.

The service as values: pages of logs, workloads, resource groups.

Every question is asked until it is answered: what may pass is retried here without end,
and what will not pass is raised. The caller is told of each failure on the way. Long, as it
has a method for each question of the service.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf
from typing import TypeAlias, TypeVar

import anyio

from tailer.aicore import paths as questions
from tailer.aicore.api import ApiAccess, ApiRequests
from tailer.aicore.credentials import Credentials
from tailer.aicore.decode import (
    decode_count,
    decode_page,
    decode_resources,
    decode_workload,
    decode_workloads,
)
from tailer.aicore.token import TokenCache
from tailer.aicore.transport import HttpResponse, OversizeError, UntrustedServerError
from tailer.backoff import OnRetry, with_retries
from tailer.clock import Clock
from tailer.errors import TransientApiError, UnreachableError
from tailer.model import (
    DEFAULT_TOP,
    MAX_TOP,
    NO_FILTER,
    Kind,
    ListFilter,
    Order,
    Page,
    Target,
    Workload,
)


class PageLimits:
    """Halves at once, grows back by an eighth a page: large lines tend to come together.

    Remembers only targets that are below MAX_TOP, so it stays as small as the trouble.
    """

    def __init__(self) -> None:
        self._limits: dict[Target, int] = {}

    def top(self, target: Target, wanted: int) -> int:
        return min(wanted, self._limits.get(target, MAX_TOP))

    def was_too_large(self, target: Target, top: int) -> bool:
        """Whether less may help: not below one line."""
        self._limits[target] = max(1, top // 2)
        return top > 1

    def fitted(self, target: Target) -> None:
        limit = self._limits.get(target)
        if limit is None:
            return
        if limit + limit // 8 + 1 >= MAX_TOP:
            del self._limits[target]
        else:
            self._limits[target] = limit + limit // 8 + 1


_TRIAL_S = 10.0
_FIRST_CONTACT_PAUSE_S = 0.5  # somebody waits for it: no long backoff into a typing error
Answered = TypeVar("Answered")
Workloads: TypeAlias = list[Workload]


class AiCoreClient:
    """Opens nothing and closes nothing: see `connect`.

    *Errors*, of all methods: AuthError and PermanentApiError at once. A TransientApiError
    never, except an UnreachableError while the service has never answered: then the address
    is probably wrong, and it is raised after `first_contact_patience_s`.
    """

    def __init__(
        self,
        gate: ApiRequests,
        *,
        access_of: Callable[[Credentials], ApiAccess],
        clock: Clock,
        rng: random.Random,
        first_contact_patience_s: float,
    ) -> None:
        self._gate = gate
        self._access_of = access_of
        self._clock = clock
        self._rng = rng
        self._first_contact_patience_s = first_contact_patience_s
        self._portions = PageLimits()
        self.statistics, self.budget = gate.statistics, gate.budget

    @property
    def tokens(self) -> TokenCache:
        return self._gate.access.tokens

    async def use(self, credentials: Credentials) -> None:
        """Ask with these from now on. A token is fetched first; requests under way finish.

        An endpoint that does not answer in time says nothing against them.

        Raises:
            AuthError: They are refused. Nothing has changed.
        """
        access = self._access_of(credentials)
        with anyio.move_on_after(_TRIAL_S), suppress(TransientApiError):
            await access.tokens.current()
        access.tokens.granted += self.tokens.granted  # of the same client: no count goes back
        access.tokens.failed += self.tokens.failed
        self._gate.access = access

    def server_now_ns(self) -> int | None:
        """Now by the service's clock, or earlier; None before its first answer."""
        return self._gate.server_now_ns(self._clock.monotonic_s())

    async def logs(
        self,
        target: Target,
        *,
        start_ns: int,
        end_ns: int,
        order: Order,
        top: int = MAX_TOP,
        on_retry: OnRetry,
    ) -> Page:
        """The first `top` lines of [start_ns, end_ns), in `order`.

        An answer larger than we take is asked for again with half as many lines, at once;
        the page then says so in its `top`. Should a single line still be too large, the
        question is retried like any other failure, loudly and without end: skipping the line
        would be a silent loss, and raising the limit is the operator's to decide.
        """

        async def attempt() -> Page:
            while True:
                portion = self._portions.top(target, top)
                try:
                    return await self._page(target, start_ns, end_ns, order, portion)
                except OversizeError as error:
                    if not self._portions.was_too_large(target, portion):
                        error.hint = "one log line is larger than max_body_bytes"
                        raise

        return await self._patiently(attempt, on_retry)

    async def _page(
        self, target: Target, start_ns: int, end_ns: int, order: Order, top: int
    ) -> Page:
        """A service that ignores `$top` gives its default: such a page counts as full."""
        question = questions.logs(target, start_ns=start_ns, end_ns=end_ns, order=order, top=top)
        answer = await self._ask(question, target)
        entries = decode_page(answer.body)
        self._portions.fitted(target)
        server_now_ns = self._gate.server_now_ns(answer.sent_s)
        assert server_now_ns is not None
        cut = len(entries) == DEFAULT_TOP < top
        return Page(entries, DEFAULT_TOP if cut else top, server_now_ns)

    async def get(
        self, target: Target, *, only_status: bool = False, on_retry: OnRetry
    ) -> Workload:
        """The workload; with `only_status` little more than its status, but cheaply."""

        async def attempt() -> Workload:
            answer = await self._ask(questions.workload(target, only_status=only_status), target)
            return decode_workload(
                answer.body, resource_group=target.resource_group, kind=target.kind
            )

        return await self._patiently(attempt, on_retry)

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Workloads:
        """All workloads that match, each once, in no order.

        The service has no snapshot of its list: when objects come and go between two pages,
        others slide over. Doubles go, and if some are missing from `count` it is read again.
        """
        found: dict[str, Workload] = {}
        for _ in range(2):
            count = await self._list_once(found, kind, resource_group, filter_by, on_retry)
            if count is None or len(found) >= count:
                break
        return [*found.values()]

    async def _list_once(
        self,
        found: dict[str, Workload],
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter,
        on_retry: OnRetry,
    ) -> int | None:
        """Adds one pass over all pages to `found`; what the last page said there is in all."""
        skip = 0
        previous: Workloads = []
        while True:
            question = questions.workloads(kind, filter_by, skip=skip)

            async def attempt(question: str = question) -> tuple[Workloads, int | None]:
                answer = await self._ask_group(question, kind, resource_group)
                return decode_workloads(answer.body, resource_group=resource_group, kind=kind)

            listed, count = await self._patiently(attempt, on_retry)
            found.update((workload.target.id, workload) for workload in listed)
            skip += len(listed)
            was_last = len(listed) < questions.LIST_TOP and count is not None and skip >= count
            if not listed or was_last or listed == previous:  # the same: `$skip` is ignored
                return count
            previous = listed

    async def count(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> int:
        async def attempt() -> int:
            question = questions.count(kind, filter_by)
            return decode_count((await self._ask_group(question, kind, resource_group)).body)

        return await self._patiently(attempt, on_retry)

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]:
        """The ids of all resource groups of the tenant, in the order received."""
        found: dict[str, None] = {}
        asked = set[str]()
        question: str | None = questions.RESOURCE_GROUPS
        while question is not None and question not in asked:
            asked.add(question)

            async def attempt(question: str = question) -> tuple[Sequence[str], int | None, str]:
                answer = await self._gate.ask(
                    question, subject="the list of resource groups", resource_group=None
                )
                groups, total = decode_resources(answer.body)
                ids = [str(group.get("resourceGroupId", "")) for group in groups]
                return ids, total, answer.headers.get("Link", "")

            ids, total, link = await self._patiently(attempt, on_retry)
            found.update((one, None) for one in ids if one)
            question = questions.more_resource_groups(link, seen=len(found), total=total)
        return [*found]

    async def _ask(self, path: str, target: Target) -> HttpResponse:
        subject = f"{target.name} in resource group {target.resource_group}"
        return await self._gate.ask(path, subject=subject, resource_group=target.resource_group)

    async def _ask_group(self, path: str, kind: Kind, resource_group: str) -> HttpResponse:
        subject = f"{kind}s of resource group {resource_group}"
        return await self._gate.ask(path, subject=subject, resource_group=resource_group)

    async def _patiently(
        self, attempt: Callable[[], Awaitable[Answered]], on_retry: OnRetry
    ) -> Answered:
        started_s = 0.0 if self._gate.was_reached else self._clock.monotonic_s()

        async def impatient_attempt() -> Answered:
            try:
                return await attempt()
            except UnreachableError as error:
                if not self._gate.was_reached and self._first_contact_patience_s < inf:
                    error.retry_after_s = _FIRST_CONTACT_PAUSE_S
                raise

        def is_permanent(error: TransientApiError) -> bool:
            if self._gate.was_reached or not isinstance(error, UnreachableError):
                return False
            is_late = self._clock.monotonic_s() - started_s >= self._first_contact_patience_s
            return is_late or isinstance(error, UntrustedServerError)

        return await with_retries(
            impatient_attempt,
            is_permanent=is_permanent,
            on_retry=on_retry,
            clock=self._clock,
            rng=self._rng,
            count_retry=self.statistics.count_retry,
        )
