"""A fixture's context, entered and left in one task."""

import asyncio  # noqa: TID251 - a task that outlives the set-up of a fixture
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def held(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Hold `context` open in a task of its own.

    pytest-asyncio runs the set-up and the tear-down of a fixture in two tasks, and anyio wants
    a cancel scope to be exited in the task that entered it.
    """
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as value:
                entered.set_result(value)
                await done.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    holding = asyncio.create_task(hold())
    try:
        yield await entered
    finally:
        done.set()
        await holding
