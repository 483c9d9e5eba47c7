"""Selected targets are followed once, from creation to end, also if created while stopped."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs
from support.daemon_bench import FORBIDDEN_GROUP, Bench, benched, configured, lines_of
from support.fakes import MemorySink
from support.json_files import shown_in_files, without_newlines
from support.long import long_values_after
from support.virtual_time import VirtualClock

from tailer.config import FileSection, SinkSection
from tailer.daemon.sinks import build_sinks
from tailer.health.targets import Phase
from tailer.model import GapReason, Kind, Status, Target
from tailer.simulator import Fault, Stage, TargetSettings

GROUPS = ("default", "team-a", "team-c")
LOOK_S = 10.0


@pytest.fixture
async def bench(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Bench]:
    async with benched(tmp_path, clock, target=[], backlog_s=0.0, resource_groups=GROUPS) as made:
        made.config = replace(
            made.config, poll=replace(made.config.poll, discovery_interval_s=LOOK_S)
        )
        yield made


@pytest.fixture
def sink(bench: Bench) -> MemorySink:
    sink = MemorySink()
    bench.sinks = (configured(sink),)
    return sink


def execution(id_: str, *, lives_s: float = 5.0, **more: Any) -> TargetSettings:
    """An execution that is RUNNING from its creation, and COMPLETED after `lives_s`."""
    life = (Stage(at_s=0, status=Status.RUNNING), Stage(at_s=lives_s, status=Status.COMPLETED))
    settings = {"kind": Kind.EXECUTION, "id": id_, "rate_per_s": 20.0, "life": life, **more}
    return TargetSettings(**settings)


async def create_many(bench: Bench, count: int, *, within_s: float, seed: int = 1) -> None:
    """Executions of a few seconds, in all groups."""
    rng = random.Random(seed)
    for number in range(count):
        await bench.clock.sleep(within_s / count)
        plan = execution(
            f"e{seed:03}{number:04}",
            lives_s=rng.uniform(1, 5),
            resource_group=rng.choice(GROUPS),
            rate_per_s=rng.uniform(10, 40),
        )
        bench.simulator.add_target(plan)


async def create_and_wait(bench: Bench, count: int, *, within_s: float, seed: int = 1) -> None:
    await create_many(bench, count, within_s=within_s, seed=seed)
    await bench.clock.sleep(90)


def named(events: list[Any], event: str) -> list[Any]:
    return [one for one in events if one["event"] == event]


@pytest.mark.long
async def test_executions_shorter_than_the_listing_interval_lose_and_repeat_nothing(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(resource_group=GROUPS, kind="execution", status=("RUNNING",))

    with capture_logs() as events:
        await bench.run(partial(create_and_wait, bench, 40, within_s=60))

    assert lines_of(sink) == bench.shown
    assert len({line[1] for line in bench.shown}) == 40
    assert len(named(events, "target_found")) == len(named(events, "target_finished")) == 40


@pytest.mark.parametrize("down_s", long_values_after(1, [20.0, 900.0]))
async def test_executions_that_lived_during_a_downtime_lose_and_repeat_nothing(
    bench: Bench, sink: MemorySink, down_s: float
) -> None:
    bench.select(resource_group=GROUPS, kind="execution", status=("RUNNING",))
    await bench.run(partial(create_many, bench, 20, within_s=30))
    await create_many(bench, 20, within_s=down_s, seed=2)

    await bench.run(partial(create_and_wait, bench, 20, within_s=30, seed=3))

    assert lines_of(sink) == bench.shown
    assert len({line[1] for line in bench.shown}) == 60


@pytest.mark.parametrize("after_s", long_values_after(1, [11.3, 23.7, 40.1]))
async def test_a_crash_loses_and_repeats_nothing(
    bench: Bench, tmp_path: Path, after_s: float
) -> None:
    section = SinkSection(name="all", to=FileSection(path=f"{tmp_path}/logs/{{id}}.log"))
    bench.config = replace(bench.config, sinks=(section,))
    bench.sinks = build_sinks(bench.config, clock=bench.clock, health=bench.health)
    bench.select(resource_group=GROUPS, kind="execution")
    with anyio.move_on_after(after_s):
        await bench.run(partial(create_many, bench, 60, within_s=60))
    await create_many(bench, 10, within_s=15, seed=2)

    await bench.run(partial(create_and_wait, bench, 10, within_s=15, seed=3))

    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


@pytest.mark.usefixtures("sink")
async def test_a_retired_target_causes_no_request(bench: Bench) -> None:
    bench.select(kind="execution")
    await bench.run(partial(create_and_wait, bench, 10, within_s=10))
    before = bench.simulator.stats()["requests"]["logs"]

    with capture_logs() as events:
        await bench.run_for(60)

    assert bench.simulator.stats()["requests"]["logs"] == before
    assert named(events, "target_found") == []


async def test_a_target_is_found_when_it_reaches_the_selected_status(
    bench: Bench, sink: MemorySink
) -> None:
    stages = (
        Stage(at_s=0, status=Status.PENDING),
        Stage(at_s=100, status=Status.RUNNING),
        Stage(at_s=103, status=Status.DEAD),
    )
    bench.select(status=("RUNNING",))
    target = bench.simulator.add_target(execution("e1234567", life=stages))

    await bench.run_for(50)
    before = bench.health.targets.get(target)
    await bench.run_for(150)

    assert before is None
    assert bench.shown.total() > 0
    assert lines_of(sink) == bench.shown


@pytest.mark.long
async def test_a_list_that_fails_for_an_hour_loses_nothing(bench: Bench, sink: MemorySink) -> None:
    bench.select(kind="execution", status=("RUNNING",))

    async def fail_for_an_hour() -> None:
        await bench.clock.sleep(30)
        bench.simulator.fail_next(Fault.BAD_GATEWAY, on={"list"}, count=1_000_000)
        await create_many(bench, 20, within_s=3600)
        bench.simulator.heal()
        await bench.clock.sleep(120)

    with capture_logs() as events:
        await bench.run(fail_for_an_hour)

    assert lines_of(sink) == shown_in(bench, "default")
    assert len(named(events, "list_failed")) == len(named(events, "list_recovered")) == 1


def shown_in(bench: Bench, *groups: str) -> Any:
    """What these resource groups have shown."""
    shown = bench.shown
    others = [one for one in bench.simulator.targets if one.resource_group not in groups]
    pods = {entry.get("pod") for one in others for entry in bench.simulator.shown(one)}
    for line in list(shown):
        if line[1] in pods:
            del shown[line]
    return shown


async def test_a_denied_resource_group_is_logged_once_and_affects_no_other(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(resource_group=("default", FORBIDDEN_GROUP))

    with capture_logs() as events:
        await bench.run(partial(create_and_wait, bench, 10, within_s=200))

    assert lines_of(sink) == shown_in(bench, "default")
    assert [one["resource_group"] for one in named(events, "resource_group_denied")] == [
        FORBIDDEN_GROUP
    ]


async def test_a_resource_group_permitted_later_has_lost_nothing(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(resource_group=("team-new",), kind="execution", status=("RUNNING",))

    async def create_it() -> None:
        await bench.clock.sleep(5)
        bench.simulator.add_target(execution("e7654321", resource_group="team-new"))
        await bench.clock.sleep(90)

    with capture_logs() as events:
        await bench.run(create_it)

    assert (
        len(named(events, "resource_group_denied"))
        == len(named(events, "resource_group_available"))
        == 1
    )
    assert lines_of(sink) == bench.shown


async def test_all_resource_groups_include_later_ones(bench: Bench, sink: MemorySink) -> None:
    bench.select(resource_group=("*",), kind="execution")

    async def create_a_group() -> None:
        await create_many(bench, 10, within_s=20)
        bench.simulator.add_target(execution("e7654321", lives_s=90, resource_group="team-new"))
        await bench.clock.sleep(200)

    await bench.run(create_a_group)

    assert "team-new" in {one.resource_group for one in bench.health.targets}
    assert lines_of(sink) == bench.shown


async def test_a_named_and_selected_target_is_followed_once(bench: Bench, sink: MemorySink) -> None:
    bench.simulator.add_target(execution("e1234567", lives_s=60))
    bench.watch("execution/e1234567", "e1234567")
    bench.select(kind="execution")
    bench.select(id=())

    await bench.run_for(150)

    assert bench.shown.total() > 0
    assert lines_of(sink) == bench.shown


@pytest.mark.usefixtures("sink")
async def test_a_target_deleted_while_followed_is_a_gap_and_is_retired(bench: Bench) -> None:
    bench.select(kind="execution")
    target = bench.simulator.add_target(execution("e1234567", lives_s=900))

    async def delete_it() -> None:
        await bench.clock.sleep(30)
        bench.simulator.remove_target(target)
        await bench.clock.sleep(90)

    with capture_logs() as events:
        await bench.run(delete_it)

    assert bench.health.targets[target].phase is Phase.GONE
    assert bench.health.gaps == {GapReason.GONE: 1}
    assert len(named(events, "target_finished")) == 1


async def test_a_retired_target_that_runs_again_resumes_at_its_position(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(kind="deployment")
    life = (Stage(at_s=0, status=Status.RUNNING),)
    plan = TargetSettings(kind=Kind.DEPLOYMENT, id="d1234567", rate_per_s=20.0, life=life)
    target = bench.simulator.add_target(plan)

    async def stop_and_start_it() -> None:
        await bench.clock.sleep(30)
        bench.simulator.set_status(target, Status.STOPPED)
        await bench.clock.sleep(60)
        bench.simulator.set_status(target, Status.RUNNING)
        await bench.clock.sleep(5)

    with capture_logs() as events:
        await bench.run(stop_and_start_it)
        bench.simulator.add_line(target, bench.clock.wall_ns(), "written while retired")
        await bench.run(partial(bench.end_and_wait, 200))

    assert len(named(events, "target_finished")) == 2
    assert lines_of(sink) == bench.shown
    assert "written while retired" in {str(line.msg).rstrip() for line in sink.lines}


async def test_a_404_soon_after_the_creation_is_waited_out(bench: Bench, sink: MemorySink) -> None:
    bench.select(kind="execution")

    async def be_slow_to_know() -> None:
        await bench.clock.sleep(11)
        target = bench.simulator.add_target(execution("e1234567", lives_s=2))
        await bench.clock.sleep(9.5)
        bench.simulator.remove_target(target)
        await bench.clock.sleep(15)
        bench.simulator.add_target(execution("e1234567", lives_s=2))
        await bench.clock.sleep(120)

    await bench.run(be_slow_to_know)

    assert bench.health.gaps == {}
    assert lines_of(sink) >= bench.shown


async def test_a_selector_without_a_match_logs_the_available_targets(
    bench: Bench, sink: MemorySink
) -> None:
    bench.select(kind="execution", scenario=("fraud",))
    bench.simulator.add_target(execution("e1234567", lives_s=900))

    async def create_one_later() -> None:
        await bench.clock.sleep(30)
        bench.simulator.add_target(execution("e7654321", scenario_id="fraud"))
        await bench.clock.sleep(90)

    with capture_logs() as events:
        await bench.run(create_one_later)

    (nothing,) = named(events, "selector_unmatched")
    assert nothing["available"] == "1 execution of scenario churn (1 RUNNING)"
    assert [one["target"] for one in named(events, "target_found")] == ["execution/e7654321"]
    assert {line[1] for line in lines_of(sink)} == {
        entry["pod"]
        for entry in bench.simulator.shown(Target("default", Kind.EXECUTION, "e7654321"))
    }


@pytest.mark.usefixtures("sink")
async def test_the_first_matches_of_each_selector_are_logged_once(bench: Bench) -> None:
    bench.select(kind="execution")
    bench.simulator.add_target(execution("e1234567", lives_s=900))
    bench.simulator.add_target(execution("e7654321", lives_s=0.1))
    await bench.clock.sleep(1)

    with capture_logs() as events:
        await bench.run_for(60)

    assert [(one["found"], one["alive"]) for one in named(events, "selector_matched")] == [(2, 1)]


@pytest.mark.long
async def test_only_matching_targets_cause_requests(bench: Bench, sink: MemorySink) -> None:
    """In the other 1,980 nothing is asked; of those 20, quiet as they are, only the logs."""
    quiet = (Stage(at_s=0, status=Status.RUNNING),)
    for number in range(2000):
        scenario = "churn" if number % 100 == 0 else "fraud"
        plan = execution(f"e{number:07}", life=quiet, rate_per_s=0.0, scenario_id=scenario)
        bench.simulator.add_target(plan)
    bench.select(kind="execution", scenario=("churn",))
    await bench.run_for(60)
    before = bench.simulator.requests

    await bench.run_for(180)
    asked = bench.simulator.requests - before

    assert len(bench.health.targets) == 20
    assert asked["list"] <= 180 / LOOK_S + 4
    assert asked["get"] == 0
    assert sink.lines == []
