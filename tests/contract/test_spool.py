"""The contract of a spool, tested on every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from support.fakes import TARGET
from support.virtual_time import VirtualClock

from tailer.model import Entry, Kind, Target
from tailer.spool.contract import SinkPosition, Spool, TargetPosition
from tailer.spool.memory import MemorySpool
from tailer.spool.open import open_spool
from tailer.spool.targets import Listing

OTHER = Target("default", Kind.EXECUTION, "e1")
LINE_BYTES = 100_000

SINKS = ("fast", "slow")
MAX_BYTES = 10 * LINE_BYTES


@pytest.fixture(params=["memory", "sqlite"])
async def spool(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Spool]:
    if request.param == "memory":
        yield MemorySpool(sinks=SINKS, max_bytes=MAX_BYTES)
        return
    path = tmp_path / "spool.db"
    async with open_spool(path, sinks=SINKS, max_bytes=MAX_BYTES, clock=clock) as opened:
        yield opened.spool


def line(msg: str) -> Entry:
    return Entry(msg=msg)


async def add(
    spool: Spool, *lines: tuple[int, str], watermark_ns: int = 0, target: Target = TARGET
) -> None:
    await spool.append(
        target,
        [line(msg) for _, msg in lines],
        [time_ns for time_ns, _ in lines],
        watermark_ns=watermark_ns,
    )


async def take(spool: Spool, sink: str) -> list[object]:
    """Take one batch and commit it."""
    (batch,) = await spool.next_batches(sink, max_lines=1)
    await spool.commit(sink, batch.position, None)
    return [entry.msg for entry in batch.entries]


async def messages(spool: Spool, target: Target = TARGET) -> list[object]:
    place = await spool.target_position(target, start_ns=0)
    return [entry.msg for entry in place.entries]


async def test_a_new_target_has_the_given_position(spool: Spool) -> None:
    assert await spool.target_position(TARGET, start_ns=7) == TargetPosition(7, (), ())


async def test_a_known_target_keeps_its_position(spool: Spool) -> None:
    await add(spool, (5, "a"), watermark_ns=3)

    assert await spool.target_position(TARGET, start_ns=7) == TargetPosition(3, (line("a"),), (5,))


async def test_each_sink_gets_batches_in_the_order_of_appending(spool: Spool) -> None:
    await add(spool, (5, "a"), (6, "b"))
    await add(spool, (1, "c"), target=OTHER)

    assert [await take(spool, "fast"), await take(spool, "fast")] == [["a", "b"], ["c"]]
    assert [await take(spool, "slow"), await take(spool, "slow")] == [["a", "b"], ["c"]]


async def at_once(spool: Spool, sink: str, *, max_lines: int) -> list[list[object]]:
    """The messages of each batch that comes; none is taken."""
    batches = await spool.next_batches(sink, max_lines=max_lines)
    return [[entry.msg for entry in batch.entries] for batch in batches]


async def test_one_read_returns_several_batches_in_the_order_of_appending(spool: Spool) -> None:
    await add(spool, (5, "a"), (6, "b"))
    await add(spool, (1, "c"), target=OTHER)
    await add(spool, (7, "d"))

    assert await at_once(spool, "fast", max_lines=100) == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize(("max_lines", "fitting"), [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3)])
async def test_one_read_returns_at_most_max_lines(
    spool: Spool, max_lines: int, fitting: int
) -> None:
    await add(spool, (5, "a"), (6, "b"))
    await add(spool, (1, "c"), target=OTHER)
    await add(spool, (7, "d"), (8, "e"))

    assert len(await at_once(spool, "fast", max_lines=max_lines)) == fitting


async def test_a_batch_over_max_lines_is_returned_alone(spool: Spool) -> None:
    await add(spool, (5, "a"), (6, "b"), (7, "c"))
    await add(spool, (8, "d"))

    assert await at_once(spool, "fast", max_lines=2) == [["a", "b", "c"]]


async def test_a_small_batch_does_not_overtake_one_that_does_not_fit(spool: Spool) -> None:
    await add(spool, (5, "a"))
    await add(spool, (6, "b"), (7, "c"), (8, "d"))
    await add(spool, (9, "e"))

    assert await at_once(spool, "fast", max_lines=2) == [["a"]]


async def test_the_next_read_begins_after_the_committed_position(spool: Spool) -> None:
    for number in range(5):
        await add(spool, (number, str(number)))
    batches = await spool.next_batches("fast", max_lines=3)
    await spool.commit("fast", batches[-1].position, None)

    assert await at_once(spool, "fast", max_lines=3) == [["3"], ["4"]]
    assert await at_once(spool, "slow", max_lines=3) == [["0"], ["1"], ["2"]]


async def test_an_uncommitted_batch_is_returned_again(spool: Spool) -> None:
    await add(spool, (5, "a"))

    first = await spool.next_batches("fast", max_lines=10)

    assert await spool.next_batches("fast", max_lines=10) == first


async def test_a_commit_stores_the_mark_with_the_position(spool: Spool) -> None:
    await add(spool, (5, "a"))
    (batch,) = await spool.next_batches("fast", max_lines=10)
    await spool.commit("fast", batch.position, b"42")

    assert await spool.sink_position("fast") == SinkPosition(batch.position, b"42")
    assert await spool.sink_position("slow") == SinkPosition(0, None)


async def test_a_batch_delivered_everywhere_stays_until_the_watermark_has_passed_it(
    spool: Spool,
) -> None:
    await add(spool, (5, "a"), watermark_ns=0)
    await take(spool, "fast")
    await take(spool, "slow")
    remembered = await messages(spool)
    await add(spool, watermark_ns=6)

    assert remembered == ["a"]
    assert await messages(spool) == []


async def test_a_batch_that_one_sink_still_lacks_stays_although_the_watermark_has_passed_it(
    spool: Spool,
) -> None:
    await add(spool, (5, "a"), watermark_ns=0)
    await take(spool, "fast")
    await add(spool, watermark_ns=6)

    assert await take(spool, "slow") == ["a"]


async def test_a_late_line_before_the_watermark_is_delivered(spool: Spool) -> None:
    await add(spool, (5, "late"), watermark_ns=9)

    assert await take(spool, "fast") == ["late"]
    assert await messages(spool) == []


async def test_a_sink_that_waits_is_woken_by_the_next_batch(
    spool: Spool, clock: VirtualClock
) -> None:
    taken: list[object] = []

    async def wait() -> None:
        taken.extend(await take(spool, "fast"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await clock.sleep(1)
        await add(spool, (5, "a"))

    assert taken == ["a"]


async def test_after_close_input_the_rest_is_returned_and_then_none(spool: Spool) -> None:
    await add(spool, (5, "a"))
    spool.close_input()

    assert await take(spool, "fast") == ["a"]
    assert await spool.next_batches("fast", max_lines=10) == ()


async def test_a_full_spool_blocks_append_until_the_slowest_sink_commits(
    spool: Spool, clock: VirtualClock
) -> None:
    big = "x" * LINE_BYTES
    appended: list[int] = []

    async def append_all() -> None:
        for number in range(30):
            await add(spool, (number, big))
            appended.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(append_all)
        await clock.sleep(1)
        before = len(appended)
        for _ in range(before):
            await take(spool, "fast")
        await clock.sleep(1)
        held_by_slow = len(appended)
        await take(spool, "slow")
        await clock.sleep(1)
        after = len(appended)
        tasks.cancel_scope.cancel()

    assert 5 <= before <= 10
    assert held_by_slow == before
    assert after == before + 1


async def test_lines_kept_only_for_the_watermark_do_not_block_append(spool: Spool) -> None:
    big = "x" * LINE_BYTES
    with anyio.fail_after(5):
        for number in range(30):
            await add(spool, (number, big), watermark_ns=0)
            await take(spool, "fast")
            await take(spool, "slow")

    assert len(await messages(spool)) == 30


async def test_a_batch_larger_than_the_whole_spool_goes_through_alone(spool: Spool) -> None:
    with anyio.fail_after(5):
        await add(spool, (1, "x" * LINE_BYTES * 50))

    assert len(await take(spool, "fast")) == 1


async def test_a_canceled_append_changes_nothing(spool: Spool) -> None:
    big = "x" * LINE_BYTES * 9
    await add(spool, (1, big), watermark_ns=1)

    with anyio.move_on_after(5):
        await add(spool, (2, big), watermark_ns=2)

    assert (await spool.target_position(TARGET, start_ns=0)).watermark_ns == 1


async def test_a_retired_target_has_a_position_after_all_of_its_lines(
    spool: Spool,
) -> None:
    await add(spool, (5, "a"), (8, "b"), watermark_ns=3)
    await spool.retire(TARGET)

    assert spool.targets.is_known(TARGET)
    assert spool.targets.is_retired(TARGET)
    assert await spool.target_position(TARGET, start_ns=0) == TargetPosition(9, (), ())


async def test_retiring_never_moves_a_position_back(spool: Spool) -> None:
    await add(spool, (5, "a"), watermark_ns=30)
    await spool.retire(TARGET)

    assert (await spool.target_position(TARGET, start_ns=0)).watermark_ns == 30


async def test_the_lines_of_a_retired_target_are_delivered_to_every_sink(spool: Spool) -> None:
    await add(spool, (5, "a"), watermark_ns=3)
    await spool.retire(TARGET)

    assert [await take(spool, "fast"), await take(spool, "slow")] == [["a"], ["a"]]


async def test_retired_targets_are_listed_by_group_and_kind(spool: Spool) -> None:
    await spool.retire(TARGET)
    await spool.retire(OTHER)

    assert set(spool.targets.retired("default", Kind.EXECUTION)) == {OTHER}
    assert set(spool.targets.retired("team-a", Kind.EXECUTION)) == set()


async def test_unfinished_targets_are_listed_with_watermark_by_group_and_kind(
    spool: Spool,
) -> None:
    await add(spool, (5, "a"), watermark_ns=3)
    await spool.retire(OTHER)

    assert spool.targets.unfinished(TARGET.resource_group, TARGET.kind) == {TARGET: 3}
    assert spool.targets.unfinished(OTHER.resource_group, OTHER.kind) == {}
    assert spool.targets.unfinished("elsewhere", TARGET.kind) == {}


async def test_a_listing_time_is_stored_by_group_and_kind(spool: Spool) -> None:
    await spool.record_listing(Listing("default", Kind.EXECUTION, at_ns=7, starts={}))
    await spool.record_listing(Listing("default", Kind.EXECUTION, at_ns=9, starts={}))

    assert spool.targets.last_listing_ns("default", Kind.EXECUTION) == 9
    assert spool.targets.last_listing_ns("default", Kind.DEPLOYMENT) is None


async def test_a_listing_sets_the_position_of_new_targets_only(spool: Spool) -> None:
    await add(spool, (5, "a"), watermark_ns=3)
    await spool.record_listing(
        Listing("default", Kind.EXECUTION, at_ns=9, starts={TARGET: 7, OTHER: 8})
    )

    assert (await spool.target_position(TARGET, start_ns=0)).watermark_ns == 3
    assert (await spool.target_position(OTHER, start_ns=0)).watermark_ns == 8


async def test_a_retired_target_can_be_forgotten(spool: Spool) -> None:
    await spool.retire(OTHER)
    await spool.record_listing(
        Listing("default", Kind.EXECUTION, at_ns=9, starts={}, forgettable=[OTHER])
    )

    assert not spool.targets.is_known(OTHER)
    assert not spool.targets.is_retired(OTHER)


async def test_a_retired_target_with_undelivered_lines_is_not_forgotten(spool: Spool) -> None:
    await add(spool, (5, "a"), target=OTHER)
    await spool.retire(OTHER)
    await spool.record_listing(
        Listing("default", Kind.EXECUTION, at_ns=9, starts={}, forgettable=[OTHER])
    )
    was_retired = spool.targets.is_retired(OTHER)
    for sink in SINKS:
        await take(spool, sink)
    await spool.record_listing(
        Listing("default", Kind.EXECUTION, at_ns=9, starts={}, forgettable=[OTHER])
    )

    assert was_retired
    assert not spool.targets.is_retired(OTHER)


async def test_a_target_that_is_not_retired_is_never_forgotten(spool: Spool) -> None:
    await add(spool, (5, "a"), watermark_ns=6, target=OTHER)
    await spool.record_listing(
        Listing("default", Kind.EXECUTION, at_ns=9, starts={}, forgettable=[OTHER])
    )

    assert spool.targets.is_known(OTHER)


async def test_a_new_sink_begins_after_the_present_batches(spool: Spool) -> None:
    await add(spool, (1, "a"))
    await spool.change_sinks(gone=(), new=["late"])
    await add(spool, (2, "b"))

    assert await take(spool, "late") == ["b"]


async def test_a_removed_sink_does_not_block_append(spool: Spool) -> None:
    await add(spool, (1, "x" * 6 * LINE_BYTES))
    await take(spool, "fast")

    async with anyio.create_task_group() as appending:
        appending.start_soon(add, spool, (2, "y" * 6 * LINE_BYTES))
        await anyio.wait_all_tasks_blocked()
        abandoned = await spool.change_sinks(gone=["slow"], new=())

    assert abandoned == {"slow": 1}
    assert await take(spool, "fast") == ["y" * 6 * LINE_BYTES]
    assert spool.undelivered_bytes == 0  # type: ignore[attr-defined]


async def test_a_sink_added_again_starts_without_mark_and_position(spool: Spool) -> None:
    await add(spool, (1, "a"))
    await spool.change_sinks(gone=["slow"], new=())
    await spool.change_sinks(gone=(), new=["slow"])
    await add(spool, (2, "b"))

    assert await spool.sink_position("slow") == SinkPosition(1, None)
    assert await take(spool, "slow") == ["b"]


async def test_sinks_can_be_replaced_during_appends(spool: Spool) -> None:
    async with anyio.create_task_group() as appending:
        for number in range(20):
            appending.start_soon(add, spool, (number, f"{number}"))
            if number == 10:
                appending.start_soon(lambda: spool.change_sinks(gone=["slow"], new=["late"]))

    fast = [await take(spool, "fast") for _ in range(20)]
    place = await spool.sink_position("late")
    late = [await take(spool, "late") for _ in range(20 - place.position)]
    assert late == fast[place.position :]
