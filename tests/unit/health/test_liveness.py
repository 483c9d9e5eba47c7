"""Liveness: a task may be idle with a recorded reason; without one it is stalled."""

from math import inf

import pytest
from support.fakes import TARGET

from tailer.health.health import Health
from tailer.health.liveness import not_ready, stalled
from tailer.health.parts import LOOP_STALL_S, STALL_S
from tailer.health.targets import Phase

LONG_S = STALL_S + 1


@pytest.fixture
def health() -> Health:
    """All is open, and has answered."""
    health = Health(has_begun=True)
    health.requests.tokens_granted = 1
    health.of_sink("file").recover()
    return health


def test_a_hanging_request_is_a_stall_with_its_target(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)

    assert stalled(health, LONG_S) == ["deployment/d1 in default: asking the service for 301 s"]
    assert stalled(health, STALL_S) == []


def test_a_long_pause_is_no_stall(health: Health) -> None:
    health.of(TARGET).activity.start("pausing", now_s=0, within_s=3600)

    assert stalled(health, 3600 + STALL_S) == []
    assert stalled(health, 3600 + LONG_S) != []


def test_backing_off_is_no_stall_until_the_next_try_is_overdue(health: Health) -> None:
    one = health.of(TARGET)
    for now_s in range(0, 10_000, 300):
        one.fail(now_s=now_s, retry_in_s=300, reason="503")

    assert stalled(health, 10_000) == []


def test_a_finished_target_is_no_stall(health: Health) -> None:
    health.of(TARGET).activity.idle("finished", now_s=0)

    assert stalled(health, 1e9) == []


def test_waiting_for_a_full_spool_is_no_stall_with_a_grace_period(health: Health) -> None:
    health.of(TARGET).activity.start("storing lines", now_s=0)
    health.spool.last_blocked_s = 5000

    assert stalled(health, 5000 + STALL_S) == []
    assert stalled(health, 5000 + LONG_S) != []


def test_waiting_for_the_rate_limit_is_no_stall(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.requests.longest_wait_s = 1000

    assert stalled(health, 1000 + STALL_S) == []
    assert stalled(health, 1000 + LONG_S) != []


def test_a_hanging_sink_write_is_a_stall(health: Health) -> None:
    health.of_sink("file").activity.start("writing", now_s=0)

    assert stalled(health, LONG_S) == ["sink file: writing for 301 s"]


def test_an_idle_sink_with_pending_lines_is_a_stall(health: Health) -> None:
    sink = health.of_sink("file")
    sink.activity.idle("waiting for lines", now_s=0)
    sink.lag_lines, sink.lag_s = 7, LONG_S

    assert stalled(health, LONG_S) == ["sink file is idle although 7 lines are pending"]


def test_lines_pending_for_a_moment_are_no_stall(health: Health) -> None:
    sink = health.of_sink("file")
    sink.activity.idle("waiting for lines", now_s=0)
    sink.lag_lines, sink.lag_s = 7, 0.1

    assert stalled(health, 1e6) == []


def test_a_blocked_event_loop_hides_all_other_stalls(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.loop.tick(now_s=1000, next_s=1002)

    assert stalled(health, 1020) == ["event loop blocked for 18 s"]


def test_a_past_block_of_the_event_loop_is_reported_to_waiting_requests(health: Health) -> None:
    health.loop.tick(now_s=0, next_s=2)
    health.loop.tick(now_s=17, next_s=19)

    assert stalled(health, 17.1) == ["event loop was blocked for 15 s until just now"]
    assert stalled(health, 28) == []


def test_after_a_suspend_of_the_machine_tasks_get_a_grace_period(health: Health) -> None:
    health.of(TARGET).activity.start("pausing", now_s=0, within_s=15)
    health.loop.tick(now_s=0, next_s=2)
    health.loop.tick(now_s=7200, next_s=7202)

    assert stalled(health, 7200 + LOOP_STALL_S + 1) == []
    assert stalled(health, 7200 + LONG_S) != []


def test_a_task_stopped_by_the_shutdown_is_no_stall(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.is_stopping = True

    assert stalled(health, LONG_S) == []


def test_it_is_not_ready_before_the_spool_is_open() -> None:
    assert not_ready(Health()) == ["the spool is not open yet"]


def test_readiness_requires_every_step() -> None:
    health = Health(has_begun=True)
    sink, named = health.of_sink("file"), health.named("d1", "default")
    look = health.of_listing("executions in default")
    steps = [not_ready(health)]
    health.requests.tokens_granted = 1
    steps.append(not_ready(health))
    sink.recover()
    steps.append(not_ready(health))
    named.targets = (TARGET,)
    health.of(TARGET).totals.reads = 1
    steps.append(not_ready(health))
    look.is_done = True

    everything = [
        "no token yet",
        "sink file is not open",
        "d1 in default was not read yet",
        "no list of executions in default yet",
    ]
    assert steps == [everything, everything[1:], everything[2:], everything[3:]]
    assert not_ready(health) == []


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.FAILED, Phase.ENDED, Phase.GONE])
def test_a_target_without_logs_does_not_delay_readiness(health: Health, phase: Phase) -> None:
    health.named("d1", "default").targets = (TARGET,)
    health.of(TARGET).enter(phase, now_s=0)

    assert not_ready(health) == []


def test_a_target_whose_first_read_fails_delays_readiness(health: Health) -> None:
    health.named("d1", "default").targets = (TARGET,)
    health.of(TARGET).fail(now_s=0, retry_in_s=1, reason="503")

    assert not_ready(health) == ["d1 in default was not read yet"]


def test_the_maximum_event_loop_lag_covers_a_minute(health: Health) -> None:
    for now_s in (0.0, 2.0, 7.0, 9.0):
        health.loop.tick(now_s=now_s, next_s=now_s + 2)

    assert health.loop.delay_s(10) == 3
    health.loop.tick(now_s=70, next_s=inf)
    assert health.loop.delay_s(70) == 59
