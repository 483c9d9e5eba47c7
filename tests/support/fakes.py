"""Working fakes: a log source in memory, and a sink that records its lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.memory_service import MemoryService
from tailer.backoff import OnRetry
from tailer.clock import Clock
from tailer.errors import (
    ApiError,
    AuthError,
    NotFoundError,
    PermanentApiError,
    SinkError,
    TransientApiError,
    TransientSinkError,
)
from tailer.model import (
    NO_FILTER,
    Batch,
    Entry,
    Kind,
    ListFilter,
    Order,
    Page,
    Status,
    Target,
    Workload,
)

TARGET = Target("default", Kind.DEPLOYMENT, "d1")


@dataclass(slots=True)
class MemorySource:
    """The service over `store`. Its nth request `fails` at first, or is a 404 (`denies`)."""

    clock: Clock
    store: MemoryService = field(default_factory=MemoryService)
    status: Status = Status.RUNNING
    completion_time: str = ""
    status_message: str = ""
    is_gone: bool = False
    has_logs: bool = True
    top: int = 5000
    latency_s: float = 0.0
    fails: Callable[[int], bool] = lambda _: False
    denies: Callable[[int], bool] = lambda _: False
    requests: int = 0
    asked_starts_ns: list[int] = field(default_factory=list)
    behind_ns: int = 0  # lag of the service's clock behind the test's clock
    asked_only_status: list[bool] = field(default_factory=list)  # of each get that was answered

    def server_now_ns(self) -> int | None:
        return self.clock.wall_ns() - self.behind_ns

    async def logs(
        self,
        target: Target,
        *,
        start_ns: int,
        end_ns: int,
        order: Order,
        top: int,
        on_retry: OnRetry,
    ) -> Page:
        await self._survive(on_retry)
        if self.is_gone or not self.has_logs or self.denies(self.requests):
            raise NotFoundError("no logs")
        self.asked_starts_ns.append(start_ns)
        page = self.store.get(
            start_ns, end_ns, top=min(top, self.top), order=order, now_ns=self.clock.wall_ns()
        )
        if self.latency_s:
            await self.clock.sleep(self.latency_s)
        return page

    async def get(
        self, target: Target, *, only_status: bool = False, on_retry: OnRetry
    ) -> Workload:
        await self._survive(on_retry)
        if self.is_gone:
            raise NotFoundError("no such target")
        self.asked_only_status.append(only_status)
        if only_status:
            return Workload(target, self.status)
        return Workload(
            target,
            self.status,
            completion_time=self.completion_time,
            status_message=self.status_message,
            scenario_id="churn",
        )

    async def _survive(self, on_retry: OnRetry) -> None:
        self.requests += 1
        while self.fails(self.requests):
            on_retry(TransientApiError("503 Service Unavailable"), 1.0)
            await self.clock.sleep(1.0)
            self.requests += 1


@dataclass(slots=True)
class MemorySink:
    """Remembers what was written; `fails()` is asked before each write."""

    name: str = "memory"
    lines: list[Entry] = field(default_factory=list)
    opened_with: bytes | None = None
    is_open: bool = False
    fails: Callable[[], SinkError | None] = lambda: None

    async def open(self, mark: bytes | None) -> bytes | None:
        self.opened_with, self.is_open = mark, True
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        error = self.fails()
        if error is not None:
            raise error
        self.lines += [entry for batch in batches for entry in batch.entries]
        return str(len(self.lines)).encode()

    async def aclose(self) -> None:
        self.is_open = False


@dataclass(slots=True)
class SlowSink(MemorySink):
    """Takes `write_s` for each write, however much that is."""

    clock: Clock = field(kw_only=True)
    write_s: float = field(kw_only=True)

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        await self.clock.sleep(self.write_s)
        return await MemorySink.write(self, batches)


def transient_failure() -> TransientSinkError:
    return TransientSinkError("the receiver went away")


@dataclass(slots=True)
class ListedService(MemorySource):
    """A whole service: the logs of MemorySource, for each of the `listed` workloads alike.

    `refused_groups` answer with 403. `refuses`, while it is set, is raised by every request.
    """

    listed: list[Workload] = field(default_factory=list)
    groups: list[str] = field(default_factory=lambda: ["default"])
    refused_groups: set[str] = field(default_factory=set)
    refuses: ApiError | AuthError | None = None
    answered: bool = False

    def server_now_ns(self) -> int | None:
        return MemorySource.server_now_ns(self) if self.answered else None

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        filter_by: ListFilter = NO_FILTER,
        *,
        on_retry: OnRetry,
    ) -> Sequence[Workload]:
        await self._survive(on_retry)
        if resource_group in self.refused_groups:
            raise PermanentApiError("403 Forbidden", status=403)
        return [
            one
            for one in self.listed
            if (one.target.kind, one.target.resource_group) == (kind, resource_group)
        ]

    async def resource_groups(self, *, on_retry: OnRetry) -> Sequence[str]:
        await self._survive(on_retry)
        return tuple(self.groups)

    async def get(
        self, target: Target, *, only_status: bool = False, on_retry: OnRetry
    ) -> Workload:
        shown = await MemorySource.get(self, target, only_status=only_status, on_retry=on_retry)
        if all(one.target != target for one in self.listed):
            raise NotFoundError("no such target")
        return shown

    async def _survive(self, on_retry: OnRetry) -> None:
        await MemorySource._survive(self, on_retry)
        if self.refuses is not None:
            raise self.refuses
        self.answered = True
