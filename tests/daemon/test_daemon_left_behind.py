"""Targets deleted while the service was down: reported as gaps, and no other target is."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.daemon_bench import Bench, benched, configured, lines_of
from support.fakes import MemorySink
from support.virtual_time import VirtualClock

from tailer.health.targets import Phase
from tailer.model import GapReason, Kind, Status, Target
from tailer.simulator import Fault, Stage, TargetSettings

LOOK_S = 10.0
LIFE = (Stage(at_s=0, status=Status.RUNNING),)


@pytest.fixture
async def bench(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Bench]:
    punctual = {"twin_share": 0.1}  # no late lines: those of a denied target are part of its gap
    async with benched(tmp_path, clock, target=[], backlog_s=0.0, lines=punctual) as made:
        made.config = replace(
            made.config, poll=replace(made.config.poll, discovery_interval_s=LOOK_S)
        )
        yield made


@pytest.fixture(autouse=True)
def sink(bench: Bench) -> MemorySink:
    sink = MemorySink()
    bench.sinks = (configured(sink),)
    return sink


def deploy(bench: Bench, id_: str = "d1234567", **more: Any) -> Target:
    settings = {"kind": Kind.DEPLOYMENT, "id": id_, "rate_per_s": 5.0, "life": LIFE, **more}
    return bench.simulator.add_target(TargetSettings(**settings))


async def follow_and_delete_while_down(bench: Bench) -> Target:
    target = deploy(bench)
    await bench.run_for(30)
    bench.simulator.remove_target(target)
    await bench.clock.sleep(300)
    return target


async def gaps_of_a_run(bench: Bench, seconds: float = 150) -> list[Any]:
    with capture_logs() as events:
        await bench.run_for(seconds)
    return [event for event in events if event["event"] == "gap"]


async def test_a_deleted_target_is_a_gap_from_its_position_to_now(bench: Bench) -> None:
    bench.select(kind="deployment")
    target = await follow_and_delete_while_down(bench)

    gaps = await gaps_of_a_run(bench)

    assert [gap["error"] for gap in gaps] == ["it was deleted while tailer was not running"]
    (gap,) = bench.health.targets[target].gaps
    assert gap.reason is GapReason.GONE
    assert gap.end_ns - gap.start_ns > 300e9
    assert bench.health.targets[target].phase is Phase.GONE


async def test_the_gap_is_not_reported_again_after_a_restart(bench: Bench) -> None:
    bench.select(kind="deployment")
    await follow_and_delete_while_down(bench)
    await bench.run_for(150)

    assert await gaps_of_a_run(bench) == []


async def test_a_finished_target_is_no_gap(bench: Bench) -> None:
    bench.select(kind="deployment")
    target = deploy(bench)
    await bench.run_to_the_end()
    bench.simulator.remove_target(target)

    assert await gaps_of_a_run(bench) == []


async def test_no_gap_is_reported_while_lists_fail(bench: Bench) -> None:
    bench.select(kind="deployment")
    await follow_and_delete_while_down(bench)
    bench.simulator.fail_next(Fault.BAD_GATEWAY, on={"list"}, count=1_000_000)

    assert await gaps_of_a_run(bench, 600) == []
    bench.simulator.heal()
    assert len(await gaps_of_a_run(bench)) == 1


async def test_a_deselected_target_that_exists_is_no_gap(bench: Bench) -> None:
    bench.select(kind="deployment", scenario=("churn",))
    target = deploy(bench, scenario_id="churn")
    deploy(bench, "d7654321", scenario_id="fraud")
    await bench.run_for(30)
    bench.config = replace(bench.config, watches=())
    bench.select(kind="deployment", scenario=("fraud",))

    assert await gaps_of_a_run(bench) == []
    assert target not in bench.health.targets or not bench.health.targets[target].gaps


async def test_a_target_of_a_deselected_kind_is_no_gap(bench: Bench) -> None:
    bench.select(kind="deployment")
    await follow_and_delete_while_down(bench)
    bench.config = replace(bench.config, watches=())
    bench.select(kind="execution")

    assert await gaps_of_a_run(bench) == []


@pytest.mark.parametrize("name", ["deployment/d1234567", "deployments/d1234567", "d1234567"])
async def test_a_named_target_is_left_to_its_follower(bench: Bench, name: str) -> None:
    bench.select(kind="deployment")
    bench.watch(name)
    await follow_and_delete_while_down(bench)

    assert await gaps_of_a_run(bench) == []


async def test_a_target_missing_from_lists_resumes_at_its_position(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(kind="deployment")
    target = deploy(bench)
    await bench.run_for(30)
    await bench.clock.sleep(30)

    await bench.run(partial(bench.end_and_wait, 30))

    assert lines_of(sink) == bench.shown
    assert not bench.health.targets[target].gaps


async def test_a_found_target_denied_for_long_resumes_at_its_position(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(kind="deployment")
    target = deploy(bench)

    async def deny_for_a_while() -> None:
        await bench.clock.sleep(20)
        bench.simulator.remove_target(target)
        await bench.clock.sleep(120)
        bench.simulator.restore_target(target)
        await bench.end_and_wait(150)

    await bench.run(deny_for_a_while)

    assert lines_of(sink) == bench.shown
