"""The failure of one target affects no other target, and is retried."""

from collections import Counter
from functools import partial

import anyio
import pytest
from structlog.testing import capture_logs
from support.daemon_bench import (
    FIRST,
    FORBIDDEN_GROUP,
    LINE_FIELDS,
    SECOND,
    Bench,
    Line,
    configured,
    lines_of,
)
from support.fakes import MemorySink

from tailer.errors import AuthError
from tailer.health.targets import Phase
from tailer.model import Kind, Target
from tailer.simulator import Fault, TargetSettings

QUIET = TargetSettings(kind=Kind.DEPLOYMENT, id="d0000002", rate_per_s=1)
LATER = TargetSettings(kind=Kind.DEPLOYMENT, id="d0000002", rate_per_s=5)


@pytest.fixture
def sink(bench: Bench) -> MemorySink:
    sink = MemorySink()
    bench.sinks = (configured(sink),)
    return sink


def shown_of(bench: Bench, name: str) -> Counter[Line]:
    target = Target("default", Kind.DEPLOYMENT, name.partition("/")[2])
    entries = bench.simulator.shown(target)
    return Counter(tuple(entry.get(name) for name in LINE_FIELDS) for entry in entries)


async def test_a_missing_target_affects_no_other(bench: Bench, sink: MemorySink) -> None:
    bench.watch("deployment/d0000000", FIRST)

    with capture_logs() as events:
        await bench.run_to_the_end()

    assert lines_of(sink) == shown_of(bench, FIRST)
    failures = [event for event in events if event["event"] == "target_failed"]
    assert {event["target"] for event in failures} == {"deployment/d0000000"}
    assert len(failures) > 1


async def test_a_target_created_later_is_followed_from_its_creation(
    bench: Bench, sink: MemorySink
) -> None:
    bench.watch(FIRST, "deployment/d0000002")

    async def create_it() -> None:
        await bench.clock.sleep(45)
        bench.simulator.add_target(LATER)
        await bench.end_and_wait(40)

    await bench.run(create_it)

    later = shown_of(bench, "deployment/d0000002")
    assert later.total() > 0
    assert lines_of(sink) == shown_of(bench, FIRST) + later


async def test_a_denied_target_affects_no_other(bench: Bench, sink: MemorySink) -> None:
    bench.watch(FIRST)
    bench.watch(SECOND, resource_group=FORBIDDEN_GROUP)

    await bench.run_to_the_end()

    assert lines_of(sink) == shown_of(bench, FIRST)
    phases = {one.target.resource_group: one.phase for one in bench.health.targets.values()}
    assert phases[FORBIDDEN_GROUP] is Phase.FAILED


async def test_a_bare_id_is_looked_up(bench: Bench, sink: MemorySink) -> None:
    bench.watch("d1234567")

    await bench.run_to_the_end()

    assert lines_of(sink) == shown_of(bench, FIRST)


@pytest.mark.parametrize("other_name", [FIRST, "d1234567"])
async def test_a_target_named_twice_is_followed_once(
    bench: Bench, sink: MemorySink, other_name: str
) -> None:
    bench.watch(FIRST, other_name)
    bench.watch(FIRST, resource_group="default")

    await bench.run_to_the_end()

    assert lines_of(sink) == shown_of(bench, FIRST)


async def test_credentials_rejected_at_first_contact_end_the_service(bench: Bench) -> None:
    bench.watch(FIRST, SECOND)
    bench.environ["AICORE_CLIENT_SECRET"] = "wrong"

    with pytest.RaisesGroup(AuthError, flatten_subgroups=True, allow_unwrapped=True):
        await bench.run_for(60)


async def test_a_service_that_is_down_at_the_start_is_waited_for(
    bench: Bench, sink: MemorySink
) -> None:
    bench.watch(FIRST)
    bench.simulator.fail_next(Fault.RESET, count=5)

    await bench.run(partial(bench.end_and_wait, 60))

    assert lines_of(sink) == shown_of(bench, FIRST)


async def test_credentials_rejected_during_the_run_are_retried(
    bench: Bench, sink: MemorySink
) -> None:
    """Ninety seconds of 401: longer than the patience with a gateway's rollout."""
    bench.watch(FIRST, SECOND)

    async def revoke_for_a_while() -> None:
        await bench.clock.sleep(10)
        bench.simulator.fail_next(Fault.EXPIRED_TOKEN, on=("logs", "get"), count=1_000_000)
        await bench.clock.sleep(90)
        bench.simulator.heal()
        await bench.end_and_wait(60)

    with capture_logs() as events:
        await bench.run(revoke_for_a_while)

    assert lines_of(sink) == bench.shown
    failed = {event["target"] for event in events if event["event"] == "target_failed"}
    assert failed == {FIRST, SECOND}


async def test_an_outage_of_the_service_loses_nothing(bench: Bench, sink: MemorySink) -> None:
    bench.watch(FIRST, SECOND)

    async def break_down_for_a_while() -> None:
        await bench.clock.sleep(10)
        bench.simulator.fail_next(Fault.BAD_GATEWAY, count=1_000_000)
        await bench.clock.sleep(300)
        bench.simulator.heal()
        await bench.end_and_wait(60)

    with anyio.fail_after(1000):
        await bench.run(break_down_for_a_while)

    assert lines_of(sink) == bench.shown


async def deny_and_find_again(bench: Bench, target: Target, *, denied_s: float) -> None:
    """As a gateway does that has lost its way: the target lives on behind it."""
    await bench.clock.sleep(20)
    bench.simulator.remove_target(target)
    await bench.clock.sleep(denied_s)
    bench.simulator.restore_target(target)
    await bench.clock.sleep(1000)
    await bench.end_and_wait(60)


@pytest.mark.parametrize("denied_s", [60.0, 900.0])
@pytest.mark.long
async def test_a_target_denied_for_long_resumes_at_its_position(
    bench: Bench, sink: MemorySink, denied_s: float
) -> None:
    bench.watch("deployment/d0000002")
    bench.end_targets()
    target = bench.simulator.add_target(QUIET)

    with capture_logs() as events:
        await bench.run(partial(deny_and_find_again, bench, target, denied_s=denied_s))

    assert lines_of(sink) == shown_of(bench, "deployment/d0000002")
    reported = [event["event"] for event in events if event.get("target") == target.name]
    assert reported.count("target_reappeared") == 1
    assert reported.count("gap") == 1


@pytest.mark.usefixtures("sink")
@pytest.mark.long
async def test_a_deleted_target_is_reported_once_and_retried_with_backoff(
    bench: Bench,
) -> None:
    bench.watch("deployment/d0000002")
    bench.end_targets()
    target = bench.simulator.add_target(QUIET)

    async def delete_it() -> None:
        await bench.clock.sleep(20)
        bench.simulator.remove_target(target)
        await bench.clock.sleep(60)
        before = bench.simulator.requests["get"]
        await bench.clock.sleep(7200)
        asked.append(bench.simulator.requests["get"] - before)

    asked: list[int] = []
    with capture_logs() as events:
        await bench.run(delete_it)

    assert 8 <= asked[0] <= 13
    logged = [event for event in events if event.get("target") == target.name]
    names = [event["event"] for event in logged]
    assert [event.get("phase") for event in logged].count("gone") == names.count("gap") == 1
    assert "target_failed" not in names
