"""Sinks are independent: failures, filters, and the policy for a full spool."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.daemon_bench import FIRST, SECOND, Bench, configured, lines_of
from support.fakes import MemorySink, SlowSink, transient_failure
from support.json_files import shown_in_files, without_newlines

from tailer.clock import Clock
from tailer.config import FileSection, SinkSection, SpoolSection
from tailer.daemon.sinks import build_sinks
from tailer.errors import SinkError, SinkUnavailableError, TransientSinkError
from tailer.model import GapReason

SMALL_BYTES = 300_000  # some ten seconds of lines


@dataclass(slots=True)
class BarredSink(MemorySink):
    """Cannot be opened before `until_s`."""

    clock: Clock = field(kw_only=True)
    until_s: float = field(kw_only=True)
    may_pass: bool = field(default=False, kw_only=True)

    async def open(self, mark: bytes | None) -> bytes | None:
        if self.clock.monotonic_s() < self.until_s:
            raise (TransientSinkError if self.may_pass else SinkError)("the door is locked")
        return await MemorySink.open(self, mark)


async def test_a_failed_open_is_retried_without_loss(bench: Bench) -> None:
    open_sink = MemorySink()
    barred = BarredSink(name="barred", clock=bench.clock, until_s=50)
    bench.sinks = (configured(barred), configured(open_sink))
    bench.watch(FIRST, SECOND)

    with capture_logs() as events:
        await bench.run_to_the_end()

    assert lines_of(open_sink) == lines_of(barred) == bench.shown
    failed = [event["sink"] for event in events if event["event"] == "sink_failed"]
    assert failed == ["barred", "barred"]


@pytest.mark.parametrize("may_pass", [False, True])
async def test_a_failed_open_ends_a_strict_service(bench: Bench, may_pass: bool) -> None:
    barred = BarredSink(name="barred", clock=bench.clock, until_s=50, may_pass=may_pass)
    bench.sinks = (configured(barred), configured(MemorySink()))
    bench.watch(FIRST)

    refused = pytest.RaisesExc(SinkUnavailableError, match="the door is locked")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        await bench.run_for(60, strict=True)


async def test_a_strict_service_whose_sinks_open_misses_and_repeats_nothing(bench: Bench) -> None:
    sink = MemorySink()
    bench.sinks = (configured(sink),)
    bench.watch(FIRST, SECOND)
    await bench.run_for(10, strict=True)

    await bench.run(partial(bench.end_and_wait, 5), strict=True)

    assert lines_of(sink) == bench.shown


async def test_a_permanent_sink_error_ends_the_service(bench: Bench) -> None:
    broken = MemorySink(name="broken", fails=lambda: SinkError("a sync failed"))
    bench.sinks = (configured(broken), configured(MemorySink()))
    bench.watch(FIRST)

    failed = pytest.RaisesExc(SinkError, match="a sync failed")
    with pytest.RaisesGroup(failed, flatten_subgroups=True):
        await bench.run_for(60)


async def test_each_sink_gets_its_matching_lines(bench: Bench, tmp_path: Path) -> None:
    def to(folder: str) -> FileSection:
        return FileSection(path=f"{tmp_path}/{folder}/{{id}}.log")

    proxy = re.compile("queueproxy")
    bench.config = replace(
        bench.config,
        sinks=(
            SinkSection(name="all", to=to("all")),
            SinkSection(name="one", to=to("one"), targets=("d1234567",)),
            SinkSection(name="with", to=to("with"), include=(proxy,)),
            SinkSection(name="without", to=to("without"), exclude=(proxy,)),
        ),
    )
    bench.sinks = build_sinks(bench.config, clock=bench.clock, health=bench.health)
    bench.watch(FIRST, SECOND)

    await bench.run_to_the_end()

    shown = without_newlines(bench.shown)
    assert shown_in_files(tmp_path / "all") == shown
    assert [path.name for path in (tmp_path / "one").glob("*.log")] == ["d1234567.log"]
    proxied = Counter(line for line in shown.elements() if proxy.search(line[-1]))
    assert shown_in_files(tmp_path / "with") == proxied
    assert shown_in_files(tmp_path / "without") == shown - proxied


async def test_a_drop_oldest_sink_loses_its_oldest_lines_and_a_wait_sink_none(
    bench: Bench,
) -> None:
    dropping = MemorySink(name="dropping", fails=transient_failure)
    waiting = SlowSink(name="waiting", clock=bench.clock, write_s=0.3)
    bench.config = replace(bench.config, spool=replace_size(bench, SMALL_BYTES))
    bench.sinks = (configured(dropping, drops=True), configured(waiting))
    bench.watch(FIRST, SECOND)

    async def hang_for_a_while() -> None:
        await bench.clock.sleep(120)
        dropping.fails = lambda: None
        bench.end_targets()
        await bench.clock.sleep(120)

    with capture_logs() as events:
        await bench.run(hang_for_a_while)

    drops = [event for event in events if event["event"] == "gap"]
    assert lines_of(waiting) == bench.shown
    assert lines_of(dropping) < bench.shown
    assert {event["sink"] for event in drops} == {"dropping"}
    assert bench.health.gaps == {GapReason.SINK_DROPPED: len(drops)}
    dropped = sum(
        int(event["error"].removeprefix("spool full: dropped the ").partition(" ")[0])
        for event in drops
    )
    assert len(dropping.lines) + dropped >= bench.shown.total()


async def test_a_full_spool_blocks_reading_and_is_logged_once(bench: Bench) -> None:
    is_down = True
    sink = MemorySink(fails=lambda: transient_failure() if is_down else None)
    quick = MemorySink(name="quick")
    bench.config = replace(bench.config, spool=replace_size(bench, SMALL_BYTES))
    bench.sinks = (configured(sink), configured(quick))
    bench.watch(FIRST, SECOND)

    async def hang_for_a_while() -> None:
        nonlocal is_down
        await bench.clock.sleep(120)
        is_down = False
        bench.end_targets()
        await bench.clock.sleep(120)

    with capture_logs() as events:
        await bench.run(hang_for_a_while)

    assert lines_of(sink) == lines_of(quick) == bench.shown
    reported = [event["event"] for event in events if event["event"].startswith("spool_")]
    assert reported == ["spool_full", "spool_below_limit"]


def replace_size(bench: Bench, max_bytes: int) -> SpoolSection:
    return replace(bench.config.spool, max_bytes=max_bytes)
