"""Shutdown within its timeout; a restart resumes without lost or repeated lines."""

from pathlib import Path

import pytest
from support.daemon_bench import FIRST, SECOND, SHUTDOWN_S, Bench, benched, configured, lines_of
from support.fakes import MemorySink, SlowSink
from support.virtual_time import VirtualClock

TWO_HOURS_S = 7200.0
MARGIN_S = 0.1


async def test_after_a_downtime_of_two_hours_it_resumes_at_its_position(
    tmp_path: Path, clock: VirtualClock
) -> None:
    sink = MemorySink()
    async with benched(tmp_path, clock, rate_per_s=6.0) as bench:
        bench.sinks = (configured(sink),)
        bench.watch(FIRST, SECOND)
        await bench.run_for(30)
        await clock.sleep(TWO_HOURS_S)

        await bench.run_to_the_end()

        assert lines_of(sink) == bench.shown
        assert bench.shown.total() > 6 * TWO_HOURS_S


@pytest.mark.parametrize("seconds", [7.0, 7.3, 8.9, 16.2])
async def test_a_stop_under_load_loses_and_repeats_nothing(bench: Bench, seconds: float) -> None:
    quick = MemorySink()
    slow = SlowSink(name="slow", clock=bench.clock, write_s=0.4)
    bench.sinks = (configured(quick), configured(slow))
    bench.watch(FIRST, SECOND)
    await bench.run_for(seconds)

    await bench.run_to_the_end()

    assert lines_of(quick) == lines_of(slow) == bench.shown


async def test_sinks_are_flushed_before_the_end(bench: Bench) -> None:
    quick = MemorySink()
    slow = SlowSink(name="slow", clock=bench.clock, write_s=0.4)
    bench.sinks = (configured(quick), configured(slow))
    bench.watch(FIRST, SECOND)

    took_s = await bench.run_for(15)

    assert took_s < SHUTDOWN_S
    assert slow.lines == quick.lines


async def test_a_hanging_sink_delays_the_stop_by_the_shutdown_timeout_only(bench: Bench) -> None:
    hanging = SlowSink(name="hanging", clock=bench.clock, write_s=86_400)
    bench.sinks = (configured(MemorySink()), configured(hanging))
    bench.watch(FIRST)

    took_s = await bench.run_for(15)

    assert SHUTDOWN_S <= took_s < SHUTDOWN_S + MARGIN_S


async def test_undelivered_lines_of_a_hanging_sink_survive_a_restart(bench: Bench) -> None:
    quick = MemorySink()
    hanging = SlowSink(name="hanging", clock=bench.clock, write_s=86_400)
    bench.sinks = (configured(quick), configured(hanging))
    bench.watch(FIRST, SECOND)
    await bench.run_for(15)
    hanging.write_s = 0

    await bench.run_to_the_end()

    assert lines_of(quick) == lines_of(hanging) == bench.shown
