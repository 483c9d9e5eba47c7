"""The poller: lines that reach the spool, timing of requests, end of a target."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import anyio
import pytest
from support.fakes import TARGET, MemorySource
from support.memory_service import MemoryService, StoredLine
from support.virtual_time import START_NS, VirtualClock

from tailer.config import PollSettings
from tailer.config.settings import PaceSettings
from tailer.errors import NotFoundError
from tailer.health.targets import Phase, TargetHealth
from tailer.model import MAX_TOP, Entry, GapReason, Status
from tailer.polling.cursor import MAX_KEYS
from tailer.polling.poller import Poller
from tailer.spool.memory import MemorySpool
from tailer.timestamp import NS_PER_MS, NS_PER_S, format_ns

SETTINGS = PollSettings(
    pace=PaceSettings(interval_s=1, idle_interval_s=3), lateness_s=20, drain_s=20
)


class Rig:
    """A poller, its service and its spool, and a sink that takes everything at once."""

    def __init__(self, clock: VirtualClock, *, settings: PollSettings = SETTINGS) -> None:
        self.clock = clock
        self.source = MemorySource(clock)
        self.spool = MemorySpool(sinks=["all"], max_bytes=10**9)
        self.health = TargetHealth(TARGET)
        self.settings = settings
        self.poller = self.new_poller()
        self.taken: list[Entry] = []

    def new_poller(self, *, max_keys: int = MAX_KEYS) -> Poller:
        return Poller(
            target=TARGET,
            source=self.source,
            spool=self.spool,
            clock=self.clock,
            health=self.health,
            settings=self.settings,
            jitter=random.Random(1).random,
            max_keys=max_keys,
        )

    @property
    def written(self) -> Counter[Entry]:
        return Counter(line.entry for line in self.source.store.lines)

    async def take(self) -> None:
        while batches := await self.spool.next_batches("all", max_lines=MAX_TOP):
            self.taken += [entry for batch in batches for entry in batch.entries]
            await self.spool.commit("all", batches[-1].position, None)

    async def follow(self, *, for_s: float, last: int | None = None) -> Status | None:
        """Follow from an hour ago, for at most that long."""
        status = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.take)
            with anyio.move_on_after(for_s):
                status = await self.poller.follow(
                    start=lambda now_ns: now_ns - 3600 * NS_PER_S, last=last
                )
            self.spool.close_input()
        return status

    async def read(self, *, start_ns: int, end_ns: int, last: int | None = None) -> None:
        await self.poller.read(start_ns=start_ns, end_ns=end_ns, last=last)
        self.spool.close_input()
        await self.take()


@pytest.fixture
def rig(clock: VirtualClock) -> Rig:
    return Rig(clock)


def fill(store: MemoryService, *, seed: int, seconds: int, per_s: int, late_s: float) -> None:
    """Lines over time; one in twenty late, one in ten a twin."""
    rng = random.Random(seed)
    for number in range(seconds * per_s):
        time_ns = START_NS + round(rng.random() * seconds * NS_PER_S)
        late_ns = round(rng.random() * late_s * NS_PER_S) if rng.random() < 0.05 else 0
        for _ in range(2 if rng.random() < 0.1 else 1):
            store.add(time_ns, f"line {number % 50}", visible_from_ns=time_ns + late_ns)


async def test_a_service_clock_set_back_before_the_watermark_is_one_gap(
    rig: Rig,
) -> None:
    async def set_back() -> None:
        await rig.clock.sleep(60)
        rig.source.behind_ns = 600 * NS_PER_S

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(set_back)
        await rig.follow(for_s=120)

    assert rig.health.totals.gap_counts == {GapReason.CLOCK_SET_BACK: 1}


@pytest.mark.parametrize("step_ns", [1, NS_PER_MS])
@pytest.mark.parametrize("start_is_exclusive", [False, True])
async def test_every_line_arrives_once_although_late_twinned_cut_by_pages_and_amid_failures(
    rig: Rig, step_ns: int, start_is_exclusive: bool
) -> None:
    rig.source.store = MemoryService(
        store_step_ns=step_ns, start_is_exclusive=start_is_exclusive, end_is_inclusive=True
    )
    fill(rig.source.store, seed=step_ns, seconds=60, per_s=20, late_s=15)
    rig.source.top = 40
    rig.source.fails = lambda request: request % 7 == 0

    await rig.follow(for_s=120)

    assert Counter(rig.taken) == rig.written
    assert rig.health.totals.late > 0


async def test_a_backlog_is_read_in_order_of_time(rig: Rig) -> None:
    for number in range(950):
        rig.source.store.add(START_NS - NS_PER_S + number * 1000, f"{number}")
    rig.source.top = 100

    await rig.read(start_ns=START_NS - 2 * NS_PER_S, end_ns=START_NS)

    assert [entry.msg for entry in rig.taken] == [f"{number}" for number in range(950)]


async def test_a_range_ends_before_its_end(rig: Rig) -> None:
    rig.source.store.end_is_inclusive = True
    for second in range(5):
        rig.source.store.add(START_NS + second * NS_PER_S, f"{second}")

    await rig.read(start_ns=START_NS + NS_PER_S, end_ns=START_NS + 3 * NS_PER_S)

    assert [entry.msg for entry in rig.taken] == ["1", "2"]


async def test_an_instant_beyond_two_pages_gives_both_its_ends_and_one_gap(rig: Rig) -> None:
    rig.source.store.store_step_ns = NS_PER_MS
    for number in range(260):
        rig.source.store.add(START_NS - NS_PER_S, f"{number}")
    rig.source.store.add(START_NS - NS_PER_S + NS_PER_MS, "after")
    rig.source.top = 100

    await rig.follow(for_s=30)

    expected = [*range(100), *range(160, 260)]
    assert [entry.msg for entry in rig.taken] == [*map(str, expected), "after"]
    assert [gap.reason for gap in rig.health.gaps] == [GapReason.SATURATED]


async def test_an_instant_within_two_pages_is_whole(rig: Rig) -> None:
    rig.source.store.store_step_ns = NS_PER_MS
    for number in range(170):
        rig.source.store.add(START_NS - NS_PER_S, f"{number}")
    rig.source.top = 100

    await rig.follow(for_s=30)

    assert [entry.msg for entry in rig.taken] == [*map(str, range(170))]
    assert rig.health.gaps == []


@pytest.mark.parametrize("count", [0, 1, 7, 30])
async def test_the_last_lines_are_printed_without_reading_the_rest(rig: Rig, count: int) -> None:
    for number in range(1000):
        rig.source.store.add(START_NS - 10 * NS_PER_S + number, f"{number}")

    await rig.read(start_ns=START_NS - 60 * NS_PER_S, end_ns=START_NS, last=count)

    assert [entry.msg for entry in rig.taken] == [*map(str, range(1000 - count, 1000))]
    assert rig.source.requests <= 1


async def test_more_last_lines_than_a_page_are_read_backwards_page_by_page(rig: Rig) -> None:
    for number in range(1000):
        rig.source.store.add(START_NS - 10 * NS_PER_S + number // 3, f"{number}")
    rig.source.top = 40

    await rig.read(start_ns=START_NS - 60 * NS_PER_S, end_ns=START_NS, last=250)

    assert [entry.msg for entry in rig.taken] == [*map(str, range(750, 1000))]


async def test_following_continues_after_the_last_lines(rig: Rig) -> None:
    for number in range(20):
        rig.source.store.add(START_NS - 10 * NS_PER_S + number, f"old {number}")
    rig.source.store.add(START_NS + NS_PER_S, "new", visible_from_ns=START_NS + NS_PER_S)

    await rig.follow(for_s=30, last=2)

    assert [entry.msg for entry in rig.taken] == ["old 18", "old 19", "new"]


async def test_most_reads_look_back_a_few_seconds_only(rig: Rig) -> None:
    await rig.follow(for_s=120)

    ages_s = [
        (START_NS + 120 * NS_PER_S - start_ns) / NS_PER_S for start_ns in rig.source.asked_starts_ns
    ]
    steps = [earlier - later for earlier, later in pairwise(ages_s)]
    sweeps = sum(step < -5 for step in steps)
    assert 0 < sweeps < len(steps) / 3


async def test_a_target_that_ended_long_ago_is_read_once(rig: Rig) -> None:
    rig.source.status = Status.COMPLETED
    rig.source.completion_time = format_ns(START_NS - 1800 * NS_PER_S)
    rig.source.store.add(START_NS - 1900 * NS_PER_S, "the end")

    status = await rig.follow(for_s=1)

    assert status is Status.COMPLETED
    assert [entry.msg for entry in rig.taken] == ["the end"]


async def test_a_target_that_just_ended_is_read_until_the_lateness_has_passed(rig: Rig) -> None:
    rig.source.status = Status.DEAD
    rig.source.completion_time = format_ns(START_NS)
    rig.source.store.add(
        START_NS - NS_PER_S, "last words", visible_from_ns=START_NS + 15 * NS_PER_S
    )

    status = await rig.follow(for_s=300)

    assert status is Status.DEAD
    assert [entry.msg for entry in rig.taken] == ["last words"]
    assert 35 <= anyio.current_time() < 60


async def test_a_target_without_logs_yet_is_waited_for(rig: Rig) -> None:
    rig.source.status = Status.PENDING
    rig.source.has_logs = False
    phases = []

    async def start_later() -> None:
        await anyio.lowlevel.checkpoint()
        await rig.clock.sleep(10)
        phases.append(rig.health.phase)
        rig.source.has_logs, rig.source.status = True, Status.RUNNING
        rig.source.store.add(START_NS + 11 * NS_PER_S, "hello")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start_later)
        await rig.follow(for_s=60)

    assert phases == [Phase.WAITING]
    assert [entry.msg for entry in rig.taken] == ["hello"]
    assert rig.health.phase is Phase.FOLLOWING


async def test_an_unknown_target_is_an_error(rig: Rig) -> None:
    rig.source.is_gone = True

    with pytest.raises(NotFoundError):
        await rig.poller.follow(start=lambda now_ns: now_ns)


async def test_a_target_deleted_while_followed_ends_with_a_gap(rig: Rig) -> None:
    async def delete_later() -> None:
        await rig.clock.sleep(10)
        rig.source.is_gone = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delete_later)
        await rig.follow(for_s=60)

    assert rig.health.phase is Phase.GONE
    assert [gap.reason for gap in rig.health.gaps] == [GapReason.GONE]


async def test_a_second_poller_on_the_same_spool_repeats_nothing(rig: Rig) -> None:
    fill(rig.source.store, seed=3, seconds=30, per_s=20, late_s=15)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.take)
        for _ in range(8):
            with anyio.move_on_after(7.3):
                await rig.new_poller().follow(start=lambda now_ns: now_ns - 3600 * NS_PER_S)
        rig.spool.close_input()

    assert Counter(rig.taken) == rig.written


async def test_a_target_that_runs_again_is_followed_further(rig: Rig) -> None:
    rig.source.status = Status.DEAD
    rig.source.store.add(START_NS + 100 * NS_PER_S, "alive")

    async def revive() -> None:
        await rig.clock.sleep(8)
        rig.source.status = Status.RUNNING

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revive)
        await rig.follow(for_s=150)

    assert messages(rig.taken) == ["alive"]


async def test_an_end_time_before_the_last_running_status_is_ignored(rig: Rig) -> None:
    last_ns = START_NS + 25 * NS_PER_S
    rig.source.store.add(last_ns, "last words", visible_from_ns=last_ns + 12 * NS_PER_S)

    async def end() -> None:
        await rig.clock.sleep(30)
        rig.source.completion_time = format_ns(START_NS - 3600 * NS_PER_S)
        rig.source.status = Status.DEAD

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end)
        await rig.follow(for_s=150)

    assert messages(rig.taken) == ["last words"]


async def test_one_404_between_two_pages_loses_nothing(rig: Rig) -> None:
    rig.source.status = Status.COMPLETED
    rig.source.completion_time = format_ns(START_NS - 1800 * NS_PER_S)
    for number in range(100):
        rig.source.store.add(START_NS - 1900 * NS_PER_S + number, f"{number}")
    rig.source.top = 30
    rig.source.denies = lambda request: request == 3

    await rig.follow(for_s=60)

    assert messages(rig.taken) == [*map(str, range(100))]


async def test_a_one_shot_read_retries_after_a_404(rig: Rig) -> None:
    for number in range(100):
        rig.source.store.add(START_NS - NS_PER_S + number, f"{number}")
    rig.source.top = 30
    rig.source.denies = lambda request: request == 2

    await rig.read(start_ns=START_NS - 2 * NS_PER_S, end_ns=START_NS)

    assert messages(rig.taken) == [*map(str, range(100))]


async def test_an_ended_target_without_logs_is_finished(rig: Rig) -> None:
    rig.source.status = Status.DEAD
    rig.source.has_logs = False

    assert await rig.follow(for_s=120) is Status.DEAD


async def test_a_target_with_a_transient_404_is_followed_further(rig: Rig) -> None:
    rig.source.store.add(START_NS + 30 * NS_PER_S, "afterwards")

    async def blink() -> None:
        await rig.clock.sleep(10)
        rig.source.is_gone = True
        await rig.clock.sleep(5)
        rig.source.is_gone = False

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(blink)
        await rig.follow(for_s=60)

    assert messages(rig.taken) == ["afterwards"]
    assert rig.health.gaps == []


async def test_an_unknown_target_is_an_error_after_a_transient_failure(rig: Rig) -> None:
    rig.source.is_gone = True
    rig.source.fails = lambda request: request == 1

    with pytest.raises(NotFoundError):
        await rig.poller.follow(start=lambda now_ns: now_ns)


async def test_a_404_before_the_last_lines_does_not_print_all_lines(rig: Rig) -> None:
    for number in range(20):
        rig.source.store.add(START_NS - 600 * NS_PER_S + number, f"{number}")
    rig.source.denies = lambda request: request == 2

    await rig.follow(for_s=60, last=2)

    assert messages(rig.taken) == ["18", "19"]


@pytest.mark.parametrize("visible_before", [0, 1, 5])
async def test_a_line_shown_late_after_the_last_lines_were_taken_is_not_missed(
    rig: Rig, visible_before: int
) -> None:
    for number in range(visible_before):
        rig.source.store.add(START_NS - 10 * NS_PER_S + number, f"old {number}")
    late_ns = START_NS - 3 * NS_PER_S
    rig.source.store.add(late_ns, "late", visible_from_ns=START_NS + 2 * NS_PER_S)

    await rig.follow(for_s=60, last=2)

    expected = [f"old {number}" for number in range(visible_before)][-2:]
    assert messages(rig.taken) == [*expected, "late"]


async def test_the_last_lines_of_a_service_that_ignores_the_order_are_the_last(rig: Rig) -> None:
    rig.source.store.overlooks_order = True
    for number in range(50):
        rig.source.store.add(START_NS - NS_PER_S + number * NS_PER_MS, f"{number}")

    await rig.read(start_ns=START_NS - 60 * NS_PER_S, end_ns=START_NS, last=5)

    assert messages(rig.taken) == ["45", "46", "47", "48", "49"]


async def test_last_lines_of_a_saturated_instant_are_a_gap(rig: Rig) -> None:
    rig.source.store.store_step_ns = NS_PER_MS
    for number in range(60):
        rig.source.store.add(START_NS - NS_PER_S, f"{number}")
    rig.source.top = 20

    await rig.read(start_ns=START_NS - 60 * NS_PER_S, end_ns=START_NS, last=40)

    assert [gap.reason for gap in rig.health.gaps] == [GapReason.SATURATED]


async def test_a_line_without_a_timestamp_is_printed_once(rig: Rig) -> None:
    fill(rig.source.store, seed=5, seconds=30, per_s=5, late_s=15)
    undated = Entry(msg="when was that?")
    rig.source.store.lines.insert(
        40, StoredLine(rig.source.store.lines[40].time_ns, undated, START_NS)
    )

    await rig.follow(for_s=90)

    assert Counter(rig.taken) == rig.written


async def test_a_memory_that_is_full_again_and_again_is_one_growing_gap(rig: Rig) -> None:
    for number in range(3000):
        rig.source.store.add(START_NS + number * 20 * NS_PER_MS, f"{number}")
    rig.poller = rig.new_poller(max_keys=100)

    await rig.follow(for_s=90)

    assert Counter(rig.taken) == rig.written
    assert [gap.reason for gap in rig.health.gaps] == [GapReason.LATENESS_SHRUNK]


def messages(entries: Sequence[Entry]) -> list[object]:
    return [entry.msg for entry in entries]


async def test_a_full_spool_makes_the_poller_wait_and_loses_nothing(clock: VirtualClock) -> None:
    rig = Rig(clock)
    rig.spool = MemorySpool(sinks=["all"], max_bytes=5_000)
    rig.poller = rig.new_poller()
    for number in range(200):
        rig.source.store.add(START_NS - NS_PER_S + number, f"{number}")
    rig.source.top = 10
    held_bytes = []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: rig.poller.follow(start=lambda now_ns: now_ns - 10 * NS_PER_S))
        await clock.sleep(30)
        held_bytes.append(rig.spool.undelivered_bytes)
        tasks.start_soon(rig.take)
        await clock.sleep(30)
        tasks.cancel_scope.cancel()

    assert held_bytes[0] <= 5_000
    assert messages(rig.taken) == [*map(str, range(200))]
