"""Several steps side by side, until the first of them ends."""

from collections.abc import Awaitable, Callable

import anyio

from tailer.errors import SinkError


async def until_one_ends(*steps: Callable[[], Awaitable[None]]) -> None:
    """The first step that returns or raises ends the others, and all this.

    Errors: the first SinkError is raised as it is, outside of any group.
    """
    failures: list[SinkError] = []

    async def run(step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except SinkError as error:
            failures.append(error)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for step in steps:
            tasks.start_soon(run, step)
    if failures:
        raise failures[0]
