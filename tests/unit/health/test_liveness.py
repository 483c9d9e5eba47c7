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


def test_a_request_that_never_ends_is_a_reason_with_the_name_of_its_target(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)

    assert stalled(health, LONG_S) == ["deployment/d1 in default: asking the service for 301 s"]
    assert stalled(health, STALL_S) == []


def test_a_long_pause_is_none(health: Health) -> None:
    health.of(TARGET).activity.start("pausing", now_s=0, within_s=3600)

    assert stalled(health, 3600 + STALL_S) == []
    assert stalled(health, 3600 + LONG_S) != []


def test_backing_off_is_none_as_long_as_the_next_try_comes(health: Health) -> None:
    one = health.of(TARGET)
    for now_s in range(0, 10_000, 300):
        one.fail(now_s=now_s, retry_in_s=300, reason="503")

    assert stalled(health, 10_000) == []


def test_what_is_finished_may_be_silent_for_ever(health: Health) -> None:
    health.of(TARGET).activity.idle("finished", now_s=0)

    assert stalled(health, 1e9) == []


def test_a_full_spool_excuses_whoever_waits_for_it_and_for_a_while_after(health: Health) -> None:
    health.of(TARGET).activity.start("storing lines", now_s=0)
    health.spool.last_blocked_s = 5000

    assert stalled(health, 5000 + STALL_S) == []
    assert stalled(health, 5000 + LONG_S) != []


def test_queueing_for_a_turn_is_no_hanging(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.requests.longest_wait_s = 1000

    assert stalled(health, 1000 + STALL_S) == []
    assert stalled(health, 1000 + LONG_S) != []


def test_a_sink_whose_write_never_ends_is_a_reason(health: Health) -> None:
    health.of_sink("file").activity.start("writing", now_s=0)

    assert stalled(health, LONG_S) == ["sink file: writing for 301 s"]


def test_a_sink_that_waits_for_lines_although_there_are_some_is_a_reason(health: Health) -> None:
    sink = health.of_sink("file")
    sink.activity.idle("waiting for lines", now_s=0)
    sink.lag_lines, sink.lag_s = 7, LONG_S

    assert stalled(health, LONG_S) == ["sink file is idle although 7 lines are pending"]


def test_lines_that_came_a_moment_ago_are_none(health: Health) -> None:
    sink = health.of_sink("file")
    sink.activity.idle("waiting for lines", now_s=0)
    sink.lag_lines, sink.lag_s = 7, 0.1

    assert stalled(health, 1e6) == []


def test_a_loop_that_does_not_turn_is_the_reason_and_hides_all_others(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.loop.tick(now_s=1000, next_s=1002)

    assert stalled(health, 1020) == ["event loop blocked for 18 s"]


def test_a_loop_that_has_just_stood_still_says_so_to_who_asked_meanwhile(health: Health) -> None:
    health.loop.tick(now_s=0, next_s=2)
    health.loop.tick(now_s=17, next_s=19)

    assert stalled(health, 17.1) == ["event loop was blocked for 15 s until just now"]
    assert stalled(health, 28) == []


def test_after_a_sleep_of_the_whole_machine_everybody_gets_time_to_go_on(health: Health) -> None:
    health.of(TARGET).activity.start("pausing", now_s=0, within_s=15)
    health.loop.tick(now_s=0, next_s=2)
    health.loop.tick(now_s=7200, next_s=7202)

    assert stalled(health, 7200 + LOOP_STALL_S + 1) == []
    assert stalled(health, 7200 + LONG_S) != []


def test_who_reads_no_more_because_of_a_stop_does_not_hang(health: Health) -> None:
    health.of(TARGET).activity.start("asking the service", now_s=0)
    health.is_stopping = True

    assert stalled(health, LONG_S) == []


def test_nobody_is_ready_before_the_spool_is_open() -> None:
    assert not_ready(Health()) == ["the spool is not open yet"]


def test_readiness_comes_step_by_step() -> None:
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
def test_a_target_that_has_nothing_to_read_does_not_keep_it_from_being_ready(
    health: Health, phase: Phase
) -> None:
    health.named("d1", "default").targets = (TARGET,)
    health.of(TARGET).enter(phase, now_s=0)

    assert not_ready(health) == []


def test_a_target_that_is_backing_off_from_its_first_read_does(health: Health) -> None:
    health.named("d1", "default").targets = (TARGET,)
    health.of(TARGET).fail(now_s=0, retry_in_s=1, reason="503")

    assert not_ready(health) == ["d1 in default was not read yet"]


def test_the_worst_delay_of_the_loop_is_remembered_for_a_minute(health: Health) -> None:
    for now_s in (0.0, 2.0, 7.0, 9.0):
        health.loop.tick(now_s=now_s, next_s=now_s + 2)

    assert health.loop.delay_s(10) == 3
    health.loop.tick(now_s=70, next_s=inf)
    assert health.loop.delay_s(70) == 59
