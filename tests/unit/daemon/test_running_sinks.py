"""One delivery task per sink: sinks come, go and change while the others keep writing."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from support.daemon_bench import configured
from support.fakes import TARGET, MemorySink, SlowSink
from support.spool_on_disk import add
from support.virtual_time import START_NS, VirtualClock

from tailer.daemon.sinks import RunningSinks
from tailer.errors import SinkError, SinkUnavailableError
from tailer.health.health import Health
from tailer.model import Batch, Entry, GapReason
from tailer.sinks.contract import Sink
from tailer.spool.memory import MemorySpool


class Spool(MemorySpool):
    """A spool in memory, with the one field more that a spool on disk has."""

    def __init__(self, sinks: Sequence[str]) -> None:
        MemorySpool.__init__(self, sinks=sinks, max_bytes=10**9)
        self.droppers: Collection[str] = ()


@dataclass(slots=True)
class Rig:
    """The sinks of a service that runs; lines come in through `add`."""

    sinks: RunningSinks
    spool: Spool
    health: Health
    clock: VirtualClock
    _lines: int = field(default=0)

    async def add(self, *messages: str) -> None:
        self._lines += 1
        await add(self.spool, START_NS + self._lines, *messages)

    async def change(self, *wanted: Sink) -> None:
        await self.sinks.change([configured(sink) for sink in wanted])


@asynccontextmanager
async def running(clock: VirtualClock, *sinks: Sink, strict: bool = False) -> AsyncIterator[Rig]:
    """Delivers to `sinks` until the end of the block, and then until the spool is empty."""
    health = Health()
    spool = Spool([sink.name for sink in sinks])
    async with anyio.create_task_group() as tasks:
        made = RunningSinks(tasks, spool=spool, clock=clock, health=health)
        for sink in sinks:
            made.start(configured(sink), strict=strict)
        yield Rig(made, spool, health, clock)
        spool.close_input()


def messages(sink: MemorySink) -> list[object]:
    return [entry.msg for entry in sink.lines]


@dataclass(slots=True)
class LockedSink(MemorySink):
    """Cannot be opened before `until_s`."""

    clock: VirtualClock = field(kw_only=True)
    until_s: float = field(kw_only=True)

    async def open(self, mark: bytes | None) -> bytes | None:
        if self.clock.monotonic_s() < self.until_s:
            raise SinkError("locked")
        return await MemorySink.open(self, mark)


async def test_a_slow_sink_does_not_delay_another_sink(clock: VirtualClock) -> None:
    slow, quick = SlowSink("slow", clock=clock, write_s=60), MemorySink("quick")
    async with running(clock, slow, quick) as rig:
        await rig.add("one")
        await clock.sleep(1)
        first = messages(quick)

    assert (first, messages(slow)) == (["one"], ["one"])


async def test_an_unchanged_sink_is_not_reopened(clock: VirtualClock) -> None:
    stays, goes = MemorySink("stays"), MemorySink("goes")
    async with running(clock, stays, goes) as rig:
        await rig.add("one")
        await clock.sleep(1)
        stays.opened_with = b"not opened since"
        await rig.change(stays)
        await rig.add("two")
        await clock.sleep(1)

    assert stays.opened_with == b"not opened since"
    assert (messages(stays), messages(goes)) == (["one", "two"], ["one"])


async def test_a_changed_sink_resumes_at_its_position_with_its_mark(clock: VirtualClock) -> None:
    before, after = MemorySink("file"), MemorySink("file")
    async with running(clock, before) as rig:
        await rig.add("one", "two")
        await clock.sleep(1)
        await rig.change(after)
        await rig.add("three")
        await clock.sleep(1)

    assert (messages(before), messages(after)) == (["one", "two"], ["three"])
    assert (before.is_open, after.opened_with) == (False, b"2")


async def test_a_new_sink_gets_new_lines_only(clock: VirtualClock) -> None:
    old, new = MemorySink("old"), MemorySink("new")
    async with running(clock, old) as rig:
        await rig.add("before")
        await clock.sleep(1)
        await rig.change(old, new)
        await rig.add("after")
        await clock.sleep(1)

    assert (messages(old), messages(new)) == (["before", "after"], ["after"])


@pytest.mark.parametrize(("write_s", "written"), [(8, ["one"]), (600, [])])
async def test_a_removed_sink_gets_ten_seconds_for_the_write_in_progress(
    clock: VirtualClock, write_s: float, written: list[object]
) -> None:
    stays, slow = MemorySink("stays"), SlowSink("slow", clock=clock, write_s=write_s)
    async with running(clock, stays, slow) as rig:
        await rig.add("one")
        await clock.sleep(1)
        await rig.change(stays)
        took_s = clock.monotonic_s() - 1

    assert messages(slow) == written
    assert took_s <= 10
    assert not slow.is_open


async def test_undelivered_lines_of_a_removed_sink_are_a_gap(
    clock: VirtualClock,
) -> None:
    stays = MemorySink("stays")
    locked = LockedSink("locked", clock=clock, until_s=1e9)
    async with running(clock, stays, locked) as rig:
        await rig.add("one")
        await clock.sleep(1)
        await rig.change(stays)
        gaps, sinks = rig.health.sink_gaps[GapReason.SINK_DROPPED], set(rig.health.sinks)

    assert (gaps, sinks) == (1, {"stays"})


async def test_a_sink_that_fails_to_open_is_retried_without_loss(
    clock: VirtualClock,
) -> None:
    locked = LockedSink("locked", clock=clock, until_s=40)
    async with running(clock, locked) as rig:
        await rig.add("one")
        await clock.sleep(35)
        failures = rig.health.of_sink("locked").failures
        await clock.sleep(60)

    assert failures == 2
    assert messages(locked) == ["one"]


async def test_a_sink_that_fails_to_open_ends_a_strict_start(clock: VirtualClock) -> None:
    locked = LockedSink("locked", clock=clock, until_s=1e9)

    with pytest.RaisesGroup(pytest.RaisesExc(SinkUnavailableError, match="locked")):
        async with running(clock, locked, strict=True):
            await clock.sleep(1)


async def test_dropped_lines_are_reported_with_the_sink_that_lost_them(
    clock: VirtualClock,
) -> None:
    async with running(clock, MemorySink("file")) as rig:
        batch = Batch(1, TARGET, (Entry(msg="x"),), (START_NS,))
        rig.sinks.report_drop("file", batch)

        assert rig.health.sink_gaps[GapReason.SINK_DROPPED] == 1
