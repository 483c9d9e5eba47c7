"""A source of lists whose every question is noted, so that a lookout that hangs can be told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

from tailer.clock import Clock
from tailer.errors import ApiError, AuthError, TransientApiError
from tailer.health import Health
from tailer.lookout import ListSource
from tailer.model import Kind, Workload
from tailer.selection import Selector
from tailer.target_logs import Trouble
from tailer.vitals import LookHealth

_GROUPS = "resource groups"
# A lookout asks again at its interval, and after refusals ever less often, up to this.
_LONGEST_REST_S = 900.0


@dataclass(frozen=True, slots=True)
class NotedLists:
    """`source`, for a lookout of `selectors` that looks every `interval_s`."""

    source: ListSource
    selectors: Sequence[Selector]
    health: Health
    clock: Clock
    interval_s: float

    def expect(self) -> None:
        """Note what will be looked at, before the first look: until then nothing is ready."""
        self._expect(self._named_groups)
        if any(one.resource_groups is None for one in self.selectors):
            self.health.of_look(_GROUPS)

    @property
    def _named_groups(self) -> set[str]:
        return {group for one in self.selectors for group in one.resource_groups or ()}

    def _expect(self, groups: Collection[str]) -> None:
        for group, kind in product(groups, Kind):
            if any(one.is_for(group, kind) for one in self.selectors):
                self.health.of_look(_what(kind, group))

    def server_now_ns(self) -> int | None:
        return self.source.server_now_ns()

    async def list(
        self,
        kind: Kind,
        resource_group: str,
        *,
        scenario_id: str | None = None,
        executable_ids: Sequence[str] = (),
        on_trouble: Trouble,
    ) -> Sequence[Workload]:
        look = self.health.of_look(_what(kind, resource_group))
        self._begin(look)
        try:
            listed = await self.source.list(
                kind,
                resource_group,
                scenario_id=scenario_id,
                executable_ids=executable_ids,
                on_trouble=self._noting(look, on_trouble),
            )
        except (ApiError, AuthError) as error:
            self._fail(look, error)
            raise
        self._succeed(look)
        return listed

    async def resource_groups(self, *, on_trouble: Trouble) -> Sequence[str]:
        """Those that are no more are not looked at any more either."""
        look = self.health.of_look(_GROUPS)
        self._begin(look)
        try:
            groups = await self.source.resource_groups(on_trouble=self._noting(look, on_trouble))
        except (ApiError, AuthError) as error:
            self._fail(look, error)
            raise
        self._succeed(look)
        there = self._named_groups | set(groups)
        self._expect(there)
        kept = {_what(kind, group) for group in there for kind in Kind} | {_GROUPS}
        for what in self.health.looks.keys() - kept:
            del self.health.looks[what]
        return groups

    def _begin(self, look: LookHealth) -> None:
        look.pulse.begin("asking the service", now_s=self.clock.monotonic_s())

    def _succeed(self, look: LookHealth) -> None:
        look.is_done, look.why, look.next_try_s = True, "", None
        rest_s = max(self.interval_s, _LONGEST_REST_S if look.what == _GROUPS else 0.0)
        look.pulse.begin("pausing", now_s=self.clock.monotonic_s(), within_s=rest_s)

    def _fail(self, look: LookHealth, error: ApiError | AuthError) -> None:
        """Refused. That is an answer, too."""
        look.is_done, look.why, look.next_try_s = True, error.message, None
        now_s = self.clock.monotonic_s()
        look.pulse.begin("waiting to try again", now_s=now_s, within_s=_LONGEST_REST_S)

    def _noting(self, look: LookHealth, on_trouble: Trouble) -> Trouble:
        def tell(error: TransientApiError, retry_in_s: float) -> None:
            now_s = self.clock.monotonic_s()
            look.why, look.next_try_s = error.message, now_s + retry_in_s
            look.pulse.begin("waiting to try again", now_s=now_s, within_s=retry_in_s)
            on_trouble(error, retry_in_s)

        return tell


def _what(kind: Kind, resource_group: str) -> str:
    return f"{kind}s in {resource_group}"
