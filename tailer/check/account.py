"""Checks of the account at the service: token, API, clock, resource groups and watches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import anyio
from yarl import URL

from tailer.aicore.client import AiCoreClient
from tailer.aicore.credentials import Credentials
from tailer.check.runner import Check, Finding, LastError, failed, passed, warning
from tailer.clock import Clock
from tailer.config import Watch
from tailer.discovery.lookup import find_target, kinds_and_id
from tailer.discovery.selector import selector_for, summarize_workloads
from tailer.discovery.survey import available
from tailer.errors import ApiError, NotFoundError, TransientApiError, UnreachableError
from tailer.model import Kind, Workload
from tailer.text import duration_text
from tailer.timestamp import NS_PER_S, format_ns

# The checks depend on each other in this order: together less than half a minute.
_TOKEN_S, _API_S, _GROUPS_S, _WATCH_S = 6.0, 6.0, 8.0, 6.0
_TOKEN_RETRY_S = 0.5
_MAX_CLOCK_OFFSET_S = 5.0
_DATE_CUT_S = 0.5  # a Date header has whole seconds, so it is late by that much on average
_EXIT_REFUSED, _EXIT_NO_TOKEN = 4, 3
_ALL = "*"
_MAX_NAMED = 3


@dataclass(slots=True, kw_only=True)
class Account:
    """The checks of one account, in order of their dependencies."""

    client: AiCoreClient
    credentials: Credentials
    watches: Sequence[Watch]
    clock: Clock
    _workloads: dict[str, list[Workload]] = field(default_factory=dict)  # by readable group

    def checks(self) -> list[Check]:
        token = Check("token", self._token, _TOKEN_S, _EXIT_NO_TOKEN)
        api = Check("API", self._api, _API_S, _EXIT_NO_TOKEN, after=[token])
        clock = Check("clock", self._clocks, _API_S, _EXIT_NO_TOKEN, after=[api])
        by_group = {
            group: Check(
                f"resource group {group}",
                partial(self._group, group),
                _GROUPS_S,
                _EXIT_REFUSED,
                after=[api],
            )
            for group in self._groups()
        }
        watches = [
            Check(
                f"watch {number}",
                partial(self._watch, watch),
                _WATCH_S,
                _EXIT_REFUSED,
                after=[by_group[group] for group in self._groups_of(watch)],
            )
            for number, watch in enumerate(self.watches, start=1)
        ]
        return [token, api, clock, *by_group.values(), *watches]

    def _groups_of(self, watch: Watch) -> tuple[str, ...]:
        return watch.resource_group or (self.credentials.default_group_name,)

    def _groups(self) -> Iterable[str]:
        named = (group for watch in self.watches for group in self._groups_of(watch))
        return dict.fromkeys(named) or (self.credentials.default_group_name,)

    async def _token(self, on_retry: LastError) -> Finding:
        while True:
            try:
                await self.client.tokens.current()
            except UnreachableError:
                raise
            except TransientApiError as error:
                on_retry(error, _TOKEN_RETRY_S)
                await self.clock.sleep(_TOKEN_RETRY_S)
            else:
                break
        left_s = self.client.tokens.life_left_s
        until = format_ns(self.clock.wall_ns() + round(left_s) * NS_PER_S)[:19]
        issuer = URL(self.credentials.token_url).host
        return passed(f"issued by {issuer}, valid for {duration_text(left_s)} (until {until}Z)")

    async def _api(self, on_retry: LastError) -> Finding:
        group = next(iter(self._groups()))
        group = self.credentials.default_group_name if group == _ALL else group
        try:
            await self.client.count(Kind.DEPLOYMENT, group, on_retry=on_retry)
        except ApiError:  # a refusal is a response, too
            if self.client.server_now_ns() is None:
                raise
        return passed(f"{URL(self.credentials.api_url).host} responds")

    async def _clocks(self, _: LastError) -> Finding:
        now_ns = self.client.server_now_ns()
        assert now_ns is not None, "the API has responded"
        ahead_s = (self.clock.wall_ns() - now_ns) / NS_PER_S - _DATE_CUT_S
        if abs(ahead_s) <= _MAX_CLOCK_OFFSET_S:
            return passed("this machine and the service agree")
        direction = "ahead of" if ahead_s > 0 else "behind"
        return warning(
            f"this machine is {duration_text(abs(ahead_s))} {direction} the service",
            "synchronize it (NTP); tailer loses no lines, but times of other programs will differ",
        )

    async def _group(self, group: str, on_retry: LastError) -> Finding:
        if group != _ALL:
            return passed(summarize_workloads(await self._list(group, group, on_retry)))
        refused: list[str] = []

        async def list_group(one: str) -> None:
            try:
                await self._list(one, _ALL, on_retry)
            except ApiError:
                refused.append(one)

        groups = await self.client.resource_groups(on_retry=on_retry)
        async with anyio.create_task_group() as listing:
            for one in groups:
                listing.start_soon(list_group, one)
        if refused:
            named = ", ".join(sorted(refused)[:_MAX_NAMED])
            return warning(
                f"{len(groups)} resource groups, {len(refused)} of them refused: {named}",
                "authorize the service key for them, or name resource groups in the [[watch]]",
            )
        return passed(f"{len(groups)} resource groups: {', '.join(groups[:_MAX_NAMED])}, …")

    async def _list(self, group: str, watched_as: str, on_retry: LastError) -> list[Workload]:
        """List the watched kinds only: other kinds may be many, or refused."""
        watches = [watch for watch in self.watches if watched_as in self._groups_of(watch)]
        wanted = {kind for watch in watches for kind in _kinds_of(watch)}
        found: list[Workload] = []
        for kind in Kind:
            if kind in wanted or not watches:
                found += await self.client.list(kind, group, on_retry=on_retry)
        listed = self._workloads.setdefault(group, [])
        known = {workload.target for workload in listed}
        listed += [workload for workload in found if workload.target not in known]
        return found

    async def _watch(self, watch: Watch, on_retry: LastError) -> Finding:
        selector = selector_for(watch, default_group=self.credentials.default_group_name)
        if selector is None:
            return await self._named(watch, on_retry)
        listed = [workload for workloads in self._workloads.values() for workload in workloads]
        matching = [workload for workload in listed if selector.matches(workload)]
        if matching:
            return passed(f"{selector}: {_by_status(matching)}")
        return warning(
            f"no match for {selector} now; available: {available(listed, selector)}",
            "compare the ids, unless the targets will be created later",
        )

    async def _named(self, watch: Watch, on_retry: LastError) -> Finding:
        found: list[Workload] = []
        missing: list[str] = []

        async def find(name: str, group: str) -> None:
            kinds, id_ = kinds_and_id(name)
            listed = [
                workload
                for workload in self._workloads[group]
                if workload.target.id == id_ and workload.target.kind in kinds
            ]
            try:
                found.extend(
                    listed
                    or await find_target(
                        self.client, name, resource_groups=[group], on_retry=on_retry
                    )
                )
            except NotFoundError:
                missing.append(f"{name} in {group}")

        groups = [group for group in self._groups_of(watch) if group in self._workloads]
        async with anyio.create_task_group() as searches:
            for name, group in product(watch.targets, groups):
                searches.start_soon(find, name, group)
        if missing:
            named = ", ".join(sorted(missing)[:_MAX_NAMED])
            more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
            return failed(
                f"not found: {named}{more}",
                "`tailer list` shows the available targets",
                exit_code=_EXIT_REFUSED,
            )
        return passed(f"{', '.join(watch.targets[:_MAX_NAMED])}: {_by_status(found)}")


def _kinds_of(watch: Watch) -> set[Kind]:
    if watch.targets:
        return {kind for name in watch.targets for kind in kinds_and_id(name)[0]}
    return set(Kind) if watch.kind is None else {Kind(watch.kind)}


def _by_status(workloads: Sequence[Workload]) -> str:
    counts = Counter(workload.status for workload in workloads)
    detail = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{len(workloads)} now ({detail})"
