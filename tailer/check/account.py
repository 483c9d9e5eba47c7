"""The account at the service: a token, the API and its clock, resource groups, watches."""

from collections import Counter
from collections.abc import Iterable, Sequence
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
from tailer.discovery.selector import Selector, selector_for, summarize_workloads
from tailer.discovery.survey import available
from tailer.errors import ApiError, NotFoundError, TransientApiError, UnreachableError
from tailer.model import Kind, Status, Workload
from tailer.timestamp import NS_PER_S, format_ns

# One after the other: in all less than half a minute.
_TOKEN_S, _API_S, _GROUPS_S, _WATCH_S = 6.0, 6.0, 8.0, 6.0
_PAUSE_S = 0.5
_CLOCK_OFF_S = 5.0
_DATE_CUT_S = 0.5  # a Date header has whole seconds, so it is late by that much on average
_REFUSED, _NO_TOKEN = 4, 3
_ALL = "*"
_MOST_NAMED = 3


class Account:
    """The checks of one account, in the order in which they build on each other."""

    def __init__(
        self,
        client: AiCoreClient,
        credentials: Credentials,
        *,
        watches: Sequence[Watch],
        default_group: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._watches = watches
        self._default_group = default_group
        self._clock = clock
        self._workloads: dict[str, list[Workload]] = {}  # by resource group, as far as admitted

    def checks(self) -> list[Check]:
        token = Check("token", self._token, _TOKEN_S, _NO_TOKEN)
        api = Check("API", self._api, _API_S, _NO_TOKEN, after=[token])
        clock = Check("clock", self._its_clock, _API_S, _NO_TOKEN, after=[api])
        by_group = {
            group: Check(
                f"resource group {group}",
                partial(self._group, group),
                _GROUPS_S,
                _REFUSED,
                after=[api],
            )
            for group in self._groups()
        }
        watches = [
            Check(
                f"watch {number}",
                partial(self._watch, watch),
                _WATCH_S,
                _REFUSED,
                after=[by_group[group] for group in self._groups_of(watch)],
            )
            for number, watch in enumerate(self._watches, start=1)
        ]
        return [token, api, clock, *by_group.values(), *watches]

    def _groups_of(self, watch: Watch) -> tuple[str, ...]:
        return watch.resource_group or (self._default_group,)

    def _groups(self) -> Iterable[str]:
        named = (group for watch in self._watches for group in self._groups_of(watch))
        return dict.fromkeys(named) or (self._default_group,)

    async def _token(self, trouble: LastError) -> Finding:
        while True:
            try:
                await self._client.tokens.current()
            except UnreachableError:
                raise
            except TransientApiError as error:
                trouble(error, _PAUSE_S)
                await self._clock.sleep(_PAUSE_S)
            else:
                break
        left_s = self._client.tokens.life_left_s
        until = format_ns(self._clock.wall_ns() + round(left_s) * NS_PER_S)[:19]
        where = URL(self._credentials.token_url).host
        return passed(f"granted by {where}, good for {_duration(left_s)} (until {until}Z)")

    async def _api(self, trouble: LastError) -> Finding:
        group = next(iter(self._groups()))
        group = self._default_group if group == _ALL else group
        try:
            await self._client.count(Kind.DEPLOYMENT, group, on_retry=trouble)
        except ApiError:
            if self._client.server_now_ns() is None:
                raise
        return passed(f"{URL(self._credentials.api_url).host} answers")

    async def _its_clock(self, _: LastError) -> Finding:
        now_ns = self._client.server_now_ns()
        assert now_ns is not None, "it has answered"
        ahead_s = (self._clock.wall_ns() - now_ns) / NS_PER_S - _DATE_CUT_S
        if abs(ahead_s) <= _CLOCK_OFF_S:
            return passed("the service's and this machine's agree")
        direction = "ahead of" if ahead_s > 0 else "behind"
        return warning(
            f"this machine's is {_duration(abs(ahead_s))} {direction} the service's",
            "set it (NTP); no line is lost by that, but other programs will disagree about times",
        )

    async def _group(self, group: str, trouble: LastError) -> Finding:
        if group != _ALL:
            return passed(
                summarize_workloads(await self._listed(group, self._kinds(group), trouble))
            )
        refused: list[str] = []

        async def look(one: str) -> None:
            try:
                await self._listed(one, self._kinds(_ALL), trouble)
            except ApiError:
                refused.append(one)

        groups = await self._client.resource_groups(on_retry=trouble)
        async with anyio.create_task_group() as looking:
            for one in groups:
                looking.start_soon(look, one)
        if refused:
            named = ", ".join(sorted(refused)[:_MOST_NAMED])
            return warning(
                f"{len(groups)} groups, of which {len(refused)} are refused: {named}",
                "give the service key the right to see them, or name groups in the [[watch]]",
            )
        return passed(f"{len(groups)} groups: {', '.join(groups[:_MOST_NAMED])}, …")

    async def _listed(
        self, group: str, kinds: Iterable[Kind], trouble: LastError
    ) -> list[Workload]:
        found: list[Workload] = []
        for kind in kinds:
            found += await self._client.list(kind, group, on_retry=trouble)
        known = {one.target for one in self._workloads.get(group, ())}
        kept = self._workloads.setdefault(group, [])
        kept += [one for one in found if one.target not in known]
        return found

    def _kinds(self, group: str) -> list[Kind]:
        """Those that anybody wants: the others may be many, or forbidden."""
        concerned = [watch for watch in self._watches if group in self._groups_of(watch)]
        wanted = {kind for watch in concerned for kind in _kinds_of(watch)}
        return [kind for kind in Kind if kind in wanted or not concerned]

    async def _watch(self, watch: Watch, trouble: LastError) -> Finding:
        selector = selector_for(watch, default_group=self._default_group)
        if selector is None:
            return await self._named(watch, trouble)
        return self._selected(selector)

    def _selected(self, selector: Selector) -> Finding:
        there = [one for workloads in self._workloads.values() for one in workloads]
        matching = [one for one in there if selector.matches(one)]
        if matching:
            return passed(f"{selector}: {_by_status(matching)}")
        return warning(
            f"nothing matches {selector} now; there is {available(there, selector)}",
            "fine if it is still to come; else compare the ids",
        )

    async def _named(self, watch: Watch, trouble: LastError) -> Finding:
        found: list[Workload] = []
        missing: list[str] = []

        async def look(name: str, group: str) -> None:
            kinds, id_ = kinds_and_id(name)
            listed = [
                one
                for one in self._workloads.get(group, ())
                if one.target.id == id_ and one.target.kind in kinds
            ]
            try:
                found.extend(
                    listed
                    or await find_target(
                        self._client, name, resource_groups=[group], on_retry=trouble
                    )
                )
            except NotFoundError:
                missing.append(f"{name} in {group}")

        groups = [group for group in self._groups_of(watch) if group in self._workloads]
        async with anyio.create_task_group() as looking:
            for name, group in product(watch.targets, groups):
                looking.start_soon(look, name, group)
        if missing:
            named = ", ".join(sorted(missing)[:_MOST_NAMED])
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            return failed(
                f"there is no {named}{more}",
                "`tailer list` shows what there is",
                exit_code=_REFUSED,
            )
        return passed(f"{', '.join(watch.targets[:_MOST_NAMED])}: {_by_status(found)}")


def _kinds_of(watch: Watch) -> set[Kind]:
    if watch.targets:
        return {kind for name in watch.targets for kind in kinds_and_id(name)[0]}
    return set(Kind) if watch.kind is None else {Kind(watch.kind)}


def _by_status(workloads: Sequence[Workload]) -> str:
    counts: Counter[Status] = Counter(one.status for one in workloads)
    detail = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{len(workloads)} now ({detail})"


def _duration(seconds: float) -> str:
    rest = round(seconds)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest % 60:02}s" if minutes else f"{rest}s"
