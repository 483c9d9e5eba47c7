"""Life cycles and lines of simulated targets, reproducible from the seed."""

from collections import Counter

import pytest
from support.simulator_caller import calling, pass_time, quiet, simulator
from support.virtual_time import START_NS

from tailer.model import Kind, Status, Target
from tailer.simulator import (
    Burst,
    Dialect,
    LineSettings,
    Simulator,
    TargetSettings,
)
from tailer.simulator import (
    default_targets as world,
)
from tailer.timestamp import parse_ns

D1 = Target("default", Kind.DEPLOYMENT, "d1")
SECOND = 10**9
IDENTITY = ("timestamp", "pod", "container", "stream", "msg")


def texts(sim: Simulator, target: Target) -> list[str]:
    return [entry["msg"] for entry in sim.shown(target)]


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        (world.INFERENCE, ["RUNNING", "RUNNING", "RUNNING", "RUNNING"]),
        (world.SLOW_START, ["UNKNOWN", "PENDING", "RUNNING", "RUNNING"]),
        (world.LONG_STOPPED, ["STOPPED", "STOPPED", "STOPPED", "STOPPED"]),
        (world.CRASHING, ["RUNNING", "RUNNING", "RUNNING", "DEAD"]),
        (world.COMPLETING, ["RUNNING", "RUNNING", "RUNNING", "COMPLETED"]),
        (world.STOPPED, ["RUNNING", "RUNNING", "STOPPING", "STOPPED"]),
        (world.QUEUED, ["UNKNOWN", "PENDING", "RUNNING", "COMPLETED"]),
        (world.LONG_COMPLETED, ["COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED"]),
    ],
    ids=lambda value: value.id if isinstance(value, Target) else "",
)
async def test_the_built_in_world_has_every_kind_of_life(
    target: Target, statuses: list[str]
) -> None:
    sim, seen = simulator(), []
    async with calling(sim) as caller:
        for wait_s in (0, 6, 21, 60):
            await pass_time(wait_s)
            seen.append((await caller.get(f"/v2/lm/{target.kind}s/{target.id}")).json["status"])

    assert seen == statuses


async def test_a_dead_execution_has_its_reason_in_logs_and_status() -> None:
    sim = simulator()
    async with calling(sim) as caller:
        await pass_time(61)
        dead = (await caller.get(f"/v2/lm/executions/{world.CRASHING.id}")).json

    assert texts(sim, world.CRASHING)[-1].startswith("ValueError: operands")
    assert dead["statusMessage"] == "main container exited with code 1"
    assert dead["statusDetails"]["workflow_info"]["pods"][0]["phase"] == "Failed"
    assert dead["completionTime"] == "2023-11-14T22:14:20Z"


async def test_no_lines_after_the_end() -> None:
    sim = simulator()
    async with calling(sim):
        await pass_time(61)
        at_the_end = texts(sim, world.CRASHING)
        await pass_time(60)

    assert texts(sim, world.CRASHING) == at_the_end


async def test_the_same_seed_gives_the_same_lines_for_any_polling() -> None:
    often, once, other = simulator(seed=5), simulator(seed=5), simulator(seed=6)
    async with calling(often), calling(once), calling(other):
        for _ in range(7):
            await pass_time(1.3)
            often.shown(world.INFERENCE)

    assert often.shown(world.INFERENCE) == once.shown(world.INFERENCE)
    assert often.shown(world.INFERENCE) != other.shown(world.INFERENCE)


async def test_the_common_rate_is_shared_by_weight() -> None:
    targets = (
        TargetSettings(kind=Kind.DEPLOYMENT, id="d-1"),
        TargetSettings(kind=Kind.DEPLOYMENT, id="d-2"),
        TargetSettings(kind=Kind.EXECUTION, id="e-3", weight=2.0),
    )
    sim = simulator(targets=targets, rate_per_s=200, backlog_s=0)
    async with calling(sim):
        await pass_time(10)

    assert [len(sim.shown(target)) for target in sim.targets] == [500, 500, 1000]


async def test_the_backlog_has_a_rate_of_its_own() -> None:
    plan = quiet(rate_per_s=1.0)
    sim = simulator(targets=(plan,), backlog_s=100, backlog_rate_per_s=50)
    async with calling(sim):
        backlog = len(sim.shown(D1))
        await pass_time(10)

    assert (backlog, len(sim.shown(D1)) - backlog) == (5000, 10)


async def test_a_burst_falls_within_one_millisecond() -> None:
    sim = simulator(targets=(quiet(),), bursts=(Burst(at_s=2.5, lines=300),))
    async with calling(sim):
        await pass_time(3)
        times = [parse_ns(entry["timestamp"]) for entry in sim.shown(D1)]

    assert len(times) == 300
    assert min(times) >= START_NS + 2.5 * SECOND
    assert max(times) < START_NS + 2.501 * SECOND


async def test_a_burst_can_fall_on_a_single_instant() -> None:
    sim = simulator(targets=(quiet(),), bursts=(Burst(at_s=1, lines=50, spread_ns=0),))
    async with calling(sim):
        await pass_time(2)

    assert {entry["timestamp"] for entry in sim.shown(D1)} == {
        "2023-11-14T22:13:21.000000000+00:00"
    }


async def test_late_lines_have_the_configured_share_and_delay() -> None:
    lines = LineSettings(late_share=0.2, max_lateness_s=5)
    sim = simulator(targets=(quiet(rate_per_s=100),), lines=lines, backlog_s=0)
    async with calling(sim):
        await pass_time(20)
        stats = sim.stats()

    assert 300 < stats["late_lines"] < 500
    assert 4 < stats["largest_lateness_s"] <= 5


async def test_twins_are_equal_in_all_fields() -> None:
    lines = LineSettings(twin_share=0.1)
    sim = simulator(targets=(quiet(rate_per_s=100),), lines=lines, backlog_s=0)
    async with calling(sim):
        await pass_time(10)
        counts = Counter(tuple(it[field] for field in IDENTITY) for it in sim.shown(D1))

    pairs = sum(count == 2 for count in counts.values())
    assert pairs > 50
    assert sim.stats()["twins"] == pairs


async def test_hidden_lines_leave_the_pages_but_remain_in_the_shown_lines() -> None:
    lines = LineSettings(hidden_share=1.0, hidden_s=30)
    sim = simulator(targets=(quiet(rate_per_s=10),), lines=lines, backlog_s=0)
    async with calling(sim) as caller:
        await pass_time(10)
        hidden = await caller.get("/v2/lm/deployments/d1/logs")
        shown = len(sim.shown(D1))
        await pass_time(60)
        back = await caller.get("/v2/lm/deployments/d1/logs?$top=5000&end=2023-11-14T22:13:30Z")

    assert len(hidden.lines) < 30
    assert shown == len(back.lines) == 100


async def test_messages_are_as_awkward_as_real_ones() -> None:
    sim = simulator(targets=(quiet(rate_per_s=200),), backlog_s=60)
    async with calling(sim):
        output = texts(sim, D1)

    assert "\n" in output
    assert any("\x1b[" in it for it in output)
    assert any(not it.isascii() for it in output)
    assert any(it.startswith("{") for it in output)
    assert max(map(len, output)) > 8000
    assert 0.85 < sum(it.endswith("\n") for it in output) / len(output) < 0.95


async def test_the_stream_may_be_missing_and_the_message_may_have_a_runtime_prefix() -> None:
    lines = LineSettings(without_stream_share=0.5, cri_prefix_share=0.5)
    sim = simulator(targets=(quiet(rate_per_s=50),), lines=lines, backlog_s=10)
    async with calling(sim):
        shown = sim.shown(D1)

    assert 100 < sum("stream" in it for it in shown) < 400
    assert 100 < sum(" std" in it["msg"] and " F " in it["msg"] for it in shown) < 400


async def test_a_store_of_milliseconds_has_the_same_lines_with_coarser_times() -> None:
    fine = simulator(targets=(quiet(rate_per_s=50),), backlog_s=10)
    coarse = simulator(
        targets=(quiet(rate_per_s=50),), backlog_s=10, dialect=Dialect(resolution="ms")
    )
    async with calling(fine), calling(coarse):
        assert texts(fine, D1) == texts(coarse, D1)
        assert len(coarse.shown(D1)[0]["timestamp"]) == len("2023-11-14T22:13:21.000+00:00")


async def test_a_status_set_by_a_test_ends_the_lines_with_a_reason() -> None:
    sim = simulator(targets=(quiet(rate_per_s=50),), backlog_s=0)
    async with calling(sim) as caller:
        await pass_time(3.21)
        sim.set_status(D1, Status.STOPPED)
        output = texts(sim, D1)
        await pass_time(10)
        reply = await caller.get("/v2/lm/deployments/d1")

    assert output[-1] == "last checkpoint kept\n"
    assert texts(sim, D1) == output
    assert reply.json["status"] == "STOPPED"
    assert reply.json["completionTime"] == "2023-11-14T22:13:23Z"


async def test_a_target_can_be_added_and_removed_while_others_live() -> None:
    sim = simulator(targets=())
    async with calling(sim) as caller:
        await pass_time(100)
        target = sim.add_target(quiet(id="late-1", rate_per_s=5))
        known = await caller.get("/v2/lm/deployments/late-1")
        await pass_time(5)
        sim.remove_target(target)
        output = texts(sim, target)
        await pass_time(5)
        gone = await caller.get("/v2/lm/deployments/late-1/logs")

    assert (known.status, gone.status) == (200, 404)
    assert texts(sim, target) == output != []


async def test_memory_is_bounded_by_discarding_old_lines() -> None:
    sim = simulator(targets=(quiet(rate_per_s=10),), backlog_s=1000, keep_s=60)
    async with calling(sim):
        counts = []
        for _ in range(20):
            await pass_time(10)
            counts.append(len(sim.shown(D1)))

    assert min(counts) >= 600
    assert max(counts) <= 700


async def test_a_target_without_an_id_gets_one_from_the_seed() -> None:
    targets = (quiet(id=""), quiet(id="", kind=Kind.EXECUTION))
    async with calling(first := simulator(targets=targets)):
        ids = [it.id for it in first.targets]
    async with calling(second := simulator(targets=targets)):
        assert [it.id for it in second.targets] == ids

    assert [(it[0], len(it)) for it in ids] == [("d", 16), ("e", 16)]
