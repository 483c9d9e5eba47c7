"""Tasks by key in one task group, each of which can be canceled alone."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

_Key = TypeVar("_Key", bound=Hashable)


class Task:
    """Cancelable work in `tasks`. An exception in it cancels the whole group."""

    def __init__(self, tasks: TaskGroup, work: Callable[[], Awaitable[None]]) -> None:
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        tasks.start_soon(self._run, work)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with self._scope:
                await work()
        finally:
            self._ended.set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def wait(self) -> None:
        await self._ended.wait()


class TaskSet(Generic[_Key]):
    """The running tasks in `tasks` by key; a key is free again when its task has ended."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._running: dict[_Key, Task] = {}

    def __contains__(self, key: _Key) -> bool:
        return key in self._running

    def __iter__(self) -> Iterator[_Key]:
        return iter(tuple(self._running))

    def start(self, key: _Key, work: Callable[[], Awaitable[None]]) -> None:
        assert key not in self._running, key

        async def run() -> None:
            try:
                await work()
            finally:
                del self._running[key]

        self._running[key] = Task(self._tasks, run)

    async def wait(self, keys: Collection[_Key]) -> None:
        for task in self._of(keys):
            await task.wait()

    async def cancel(self, keys: Collection[_Key]) -> None:
        """Returns when the tasks have ended."""
        for task in self._of(keys):
            task.cancel()
        await self.wait(keys)

    def _of(self, keys: Collection[_Key]) -> list[Task]:
        return [self._running[key] for key in keys if key in self._running]
