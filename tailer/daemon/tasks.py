"""Tasks by name in one task group, each of which can be ended by itself."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup


@dataclass(frozen=True, slots=True)
class _Member:
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    has_ended: anyio.Event = field(default_factory=anyio.Event)


class TaskSet:
    """Its tasks live in `tasks`, so that what one of them raises ends all, as ever."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._members: dict[Hashable, _Member] = {}

    def __contains__(self, name: Hashable) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[Hashable]:
        return iter(tuple(self._members))

    def hire(self, name: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """`name` is free again when its work has ended."""
        assert name not in self._members, name
        self._members[name] = _Member()
        self._tasks.start_soon(self._run, name, work)

    async def _run(self, name: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        member = self._members[name]
        try:
            with member.scope:
                await work()
        finally:
            del self._members[name]
            member.has_ended.set()

    async def wait_for(self, names: Collection[Hashable]) -> None:
        """Returns when all of them have ended."""
        for member in [self._members[name] for name in names if name in self._members]:
            await member.has_ended.wait()

    async def dismiss(self, names: Collection[Hashable]) -> None:
        """Ends them now. Returns when they are over."""
        for name in names:
            if name in self._members:
                self._members[name].scope.cancel()
        await self.wait_for(names)
