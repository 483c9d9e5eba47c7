"""The AI Core API as methods: logs, get, list, count, resource groups.

Each method retries transient errors without end and raises permanent ones. `on_retry` is
called for each failure that is followed by a retry.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf
from typing import TypeAlias, TypeVar

import anyio

from tailer.aicore import paths
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

_NEW_TOKEN_TIMEOUT_S = 10.0
_FIRST_CONTACT_PAUSE_S = 0.5  # a user waits: no long backoff because of a mistyped address
Result = TypeVar("Result")
Workloads: TypeAlias = list[Workload]


class AiCoreClient:
    """Opens nothing and closes nothing: see `connect`.

    *Errors*, of all methods: AuthError and PermanentApiError at once. Of TransientApiError
    only UnreachableError, and only before the service has ever answered: the address is then
    probably wrong. It is raised after `first_contact_timeout_s`.
    """

    def __init__(
        self,
        requests: ApiRequests,
        *,
        access_of: Callable[[Credentials], ApiAccess],
        clock: Clock,
        rng: random.Random,
        first_contact_timeout_s: float,
    ) -> None:
        self._requests = requests
        self._access_of = access_of
        self._clock = clock
        self._rng = rng
        self._first_contact_timeout_s = first_contact_timeout_s
        self._page_limits = PageLimits()
        self.statistics, self.rate_limiter = requests.statistics, requests.rate_limiter

    @property
    def tokens(self) -> TokenCache:
        return self._requests.access.tokens

    async def use(self, credentials: Credentials) -> None:
        """Replace the credentials, after fetching a token. Requests under way finish.

        A token endpoint that does not answer within 10 s does not prevent the change.

        Raises:
            AuthError: The credentials are refused. Nothing has changed.
        """
        access = self._access_of(credentials)
        with anyio.move_on_after(_NEW_TOKEN_TIMEOUT_S), suppress(TransientApiError):
            await access.tokens.current()
        access.tokens.granted += self.tokens.granted  # counters of one client never decrease
        access.tokens.failed += self.tokens.failed
        self._requests.access = access

    def server_now_ns(self) -> int | None:
        """A lower bound of the service's time; None before its first response."""
        return self._requests.server_now_ns(self._clock.monotonic_s())

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

        A response that is too large is requested again at once with half as many lines; the
        page's `top` is then smaller. If a single line is too large, the request is retried
        like any other failure, with `on_retry` and without end: skipping the line would be a
        silent loss, and only the operator can raise the limit.
        """

        async def attempt() -> Page:
            while True:
                limit = self._page_limits.top(target, top)
                try:
                    return await self._page(target, start_ns, end_ns, order, limit)
                except OversizeError as error:
                    if not self._page_limits.shrink(target, limit):
                        error.hint = "one log line is larger than max_body_bytes"
                        raise

        return await self._with_retry(attempt, on_retry)

    async def _page(
        self, target: Target, start_ns: int, end_ns: int, order: Order, top: int
    ) -> Page:
        """A service that ignores `$top` returns its default: such a page counts as full."""
        path = paths.logs(target, start_ns=start_ns, end_ns=end_ns, order=order, top=top)
        response = await self._requests.get(
            path, subject=_subject(target), resource_group=target.resource_group
        )
        entries = decode_page(response.body)
        self._page_limits.grow(target)
        server_now_ns = self._requests.server_now_ns(response.sent_s)
        assert server_now_ns is not None
        is_default = len(entries) == DEFAULT_TOP < top
        return Page(entries, DEFAULT_TOP if is_default else top, server_now_ns)

    async def get(
        self, target: Target, *, only_status: bool = False, on_retry: OnRetry
    ) -> Workload:
        """The workload; with `only_status` little more than its status, at a lower cost."""
        path, group = paths.workload(target, only_status=only_status), target.resource_group

        def decode(response: HttpResponse) -> Workload:
            return decode_workload(response.body, resource_group=group, kind=target.kind)

        return await self._request(path, group, _subject(target), decode, on_retry)

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Workloads:
        """All workloads that match, each once, in no order.

        The service has no snapshot of its list: when workloads are created or deleted between
        two pages, others shift. Duplicates are dropped. If the list has fewer workloads than
        its `count`, it is read again.
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
        """Add one pass over all pages to `found`. Returns the `count` of the last page."""
        skip = 0
        previous: Workloads = []
        subject = _list_subject(kind, resource_group)

        def decode(response: HttpResponse) -> tuple[Workloads, int | None]:
            return decode_workloads(response.body, resource_group=resource_group, kind=kind)

        while True:
            path = paths.workloads(kind, filter_by, skip=skip)
            listed, count = await self._request(path, resource_group, subject, decode, on_retry)
            found.update((workload.target.id, workload) for workload in listed)
            skip += len(listed)
            is_last = len(listed) < paths.LIST_TOP and count is not None and skip >= count
            if not listed or is_last or listed == previous:  # the same: `$skip` is ignored
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
        path, subject = paths.count(kind, filter_by), _list_subject(kind, resource_group)
        return await self._request(
            path, resource_group, subject, lambda response: decode_count(response.body), on_retry
        )

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]:
        """The ids of all resource groups of the tenant, in the order received."""

        def decode(response: HttpResponse) -> tuple[list[str], int | None, str]:
            groups, total = decode_resources(response.body)
            ids = [str(group.get("resourceGroupId", "")) for group in groups]
            return ids, total, response.headers.get("Link", "")

        subject = "the list of resource groups"
        found: dict[str, None] = {}
        requested = set[str]()
        path: str | None = paths.RESOURCE_GROUPS
        while path is not None and path not in requested:
            requested.add(path)
            ids, total, link = await self._request(path, None, subject, decode, on_retry)
            found.update((id_, None) for id_ in ids if id_)
            path = paths.more_resource_groups(link, seen=len(found), total=total)
        return [*found]

    async def _request(
        self,
        path: str,
        resource_group: str | None,
        subject: str,
        decode: Callable[[HttpResponse], Result],
        on_retry: OnRetry,
    ) -> Result:
        async def attempt() -> Result:
            return decode(
                await self._requests.get(path, subject=subject, resource_group=resource_group)
            )

        return await self._with_retry(attempt, on_retry)

    async def _with_retry(
        self, attempt: Callable[[], Awaitable[Result]], on_retry: OnRetry
    ) -> Result:
        started_s = self._clock.monotonic_s()

        async def attempt_with_short_pause() -> Result:
            try:
                return await attempt()
            except UnreachableError as error:
                if not self._requests.was_reached and self._first_contact_timeout_s < inf:
                    error.retry_after_s = _FIRST_CONTACT_PAUSE_S
                raise

        def is_permanent(error: TransientApiError) -> bool:
            if self._requests.was_reached or not isinstance(error, UnreachableError):
                return False
            is_late = self._clock.monotonic_s() - started_s >= self._first_contact_timeout_s
            return is_late or isinstance(error, UntrustedServerError)

        return await with_retries(
            attempt_with_short_pause,
            is_permanent=is_permanent,
            on_retry=on_retry,
            clock=self._clock,
            rng=self._rng,
            count_retry=self.statistics.count_retry,
        )


def _subject(target: Target) -> str:
    return f"{target.name} in resource group {target.resource_group}"


def _list_subject(kind: Kind, resource_group: str) -> str:
    return f"{kind}s of resource group {resource_group}"


class PageLimits:
    """How many lines to request, for targets whose responses were too large.

    Halves at once and grows by an eighth for each page, because large lines often follow each
    other. Holds only targets that are below MAX_TOP.
    """

    def __init__(self) -> None:
        self._limits: dict[Target, int] = {}

    def top(self, target: Target, wanted: int) -> int:
        return min(wanted, self._limits.get(target, MAX_TOP))

    def shrink(self, target: Target, top: int) -> bool:
        """A response with `top` lines was too large. False if it was one line already."""
        self._limits[target] = max(1, top // 2)
        return top > 1

    def grow(self, target: Target) -> None:
        limit = self._limits.pop(target, MAX_TOP)
        grown = limit + limit // 8 + 1
        if grown < MAX_TOP:
            self._limits[target] = grown
