"""Named tasks in one task group: each can be ended by itself, and an exception ends all."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskGroup
from support.virtual_time import VirtualClock

from tailer.daemon.tasks import TaskSet


def task_set(tasks: TaskGroup) -> TaskSet[object]:
    return TaskSet(tasks)


def sleeping(clock: VirtualClock, seconds: float) -> Callable[[], Awaitable[None]]:
    return lambda: clock.sleep(seconds)


async def test_a_name_is_free_again_when_its_task_has_ended(clock: VirtualClock) -> None:
    async with anyio.create_task_group() as tasks:
        running = task_set(tasks)
        running.start("one", sleeping(clock, 5))
        during = set(running)
        await clock.sleep(6)
        after = set(running)
        running.start("one", sleeping(clock, 1))

    assert (during, after) == ({"one"}, set())


async def test_a_canceled_task_ends_at_once_and_the_others_continue(
    clock: VirtualClock,
) -> None:
    async with anyio.create_task_group() as tasks:
        running = task_set(tasks)
        for name in ("one", "two"):
            running.start(name, sleeping(clock, 60))
        await clock.sleep(1)
        await running.cancel(["one", "a name that nothing has"])
        canceled_s, left = clock.monotonic_s(), set(running)

    assert (canceled_s, left, clock.monotonic_s()) == (1, {"two"}, 60)


async def test_a_canceled_task_has_cleaned_up_when_cancel_returns(clock: VirtualClock) -> None:
    cleaned = anyio.Event()

    async def work() -> None:
        try:
            await clock.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await clock.sleep(3)
            cleaned.set()

    async with anyio.create_task_group() as tasks:
        running = task_set(tasks)
        running.start("one", work)
        await clock.sleep(1)
        await running.cancel(["one"])

        assert cleaned.is_set()


async def test_waiting_for_tasks_ends_with_the_last_of_them(clock: VirtualClock) -> None:
    async with anyio.create_task_group() as tasks:
        running = task_set(tasks)
        for seconds in (2, 7, 30):
            running.start(seconds, sleeping(clock, seconds))
        await running.wait([2, 7])
        waited_s = clock.monotonic_s()

    assert waited_s == 7


async def test_an_exception_in_one_task_ends_all_of_them(clock: VirtualClock) -> None:
    async def fail() -> None:
        await clock.sleep(1)
        raise OSError("disk")

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="disk")):
        async with anyio.create_task_group() as tasks:
            running = task_set(tasks)
            running.start("fails", fail)
            running.start("sleeps", sleeping(clock, 60))

    assert clock.monotonic_s() == 1
