"""`/healthz`, `/readyz`, `/metrics` and `/status` of a running service."""

from asyncio import get_running_loop  # noqa: TID251 - to make it stand still
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import sleep_forever
from support.daemon_bench import FIRST, SECOND, Bench, configured
from support.fakes import MemorySink, transient_failure
from support.status_client import HttpResponse, ask, short_folder
from support.virtual_time import VirtualTimeLoop

from tailer.config import StatusSection
from tailer.errors import ConfigError
from tailer.health.parts import STALL_S
from tailer.simulator import Fault

SMALL_BYTES = 300_000  # some ten seconds of lines
LONG_S = STALL_S * 2


@pytest.fixture
def place() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "s.sock"


@pytest.fixture
def bench(bench: Bench, place: Path) -> Bench:
    bench.config = replace(bench.config, status=StatusSection(listen=f"unix:{place}"))
    bench.sinks = (configured(MemorySink()),)
    bench.watch(FIRST)
    return bench


@dataclass(slots=True)
class HangingSink(MemorySink):
    """Its writes never end."""

    async def write(self, batches: Any) -> bytes | None:
        await sleep_forever()
        return None


@dataclass(slots=True)
class Watched:
    """Sends requests to a running bench at given seconds, and keeps the answers in order."""

    bench: Bench
    place: Path
    answers: list[HttpResponse] = field(default_factory=list)

    async def after(self, *moments_s: float, path: str = "/healthz") -> list[HttpResponse]:
        async def request() -> None:
            asked_s = 0.0
            for moment_s in moments_s:
                await self.bench.clock.sleep(moment_s - asked_s)
                asked_s = moment_s
                self.answers.append(await ask(self.place, path))

        await self.bench.run(request)
        return self.answers


@pytest.fixture
def watched(bench: Bench, place: Path) -> Watched:
    return Watched(bench, place)


async def samples_after(watched: Watched, seconds: float) -> dict[tuple[str, ...], float]:
    (response,) = await watched.after(seconds, path="/metrics")
    return response.samples


async def test_lines_late_lines_and_duplicates_are_counted(watched: Watched) -> None:
    found = await samples_after(watched, 60)

    (one,) = watched.bench.health.targets.values()
    sink = watched.bench.sinks[0].sink
    assert isinstance(sink, MemorySink)
    assert found["tailer_lines_read_total",] >= 1000
    assert found["tailer_sink_delivered_lines_total", "memory"] >= 1000
    assert found["tailer_bytes_read_total",] > found["tailer_lines_read_total",]
    assert found["tailer_sink_delivered_bytes_total", "memory"] > 1000
    assert found["tailer_late_lines_total",] > 10
    assert found["tailer_lateness_seconds_count",] == found["tailer_late_lines_total",]
    assert 0 < found["tailer_lateness_seconds_sum",] < 20 * found["tailer_late_lines_total",]
    assert found["tailer_duplicate_lines_total",] > 1000
    assert found["tailer_polls_total",] > 20
    assert found["tailer_targets", "following"] == 1
    assert found["tailer_read_lag_seconds",] < 10
    assert found["tailer_ready",] == found["tailer_sink_up", "memory"] == 1
    assert found["tailer_request_rate_limit",] == 100
    assert one.totals.lines == len(sink.lines)


@pytest.mark.parametrize(
    ("fault", "series"),
    [
        (Fault.SERVER_ERROR, ("5xx", "500")),
        (Fault.TOO_MANY_REQUESTS, ("4xx", "429")),
        (Fault.EXPIRED_TOKEN, ("4xx", "401")),
        (Fault.CUT_BODY, ("none", "none")),
    ],
)
async def test_responses_by_status_and_retries_are_counted(
    watched: Watched, fault: Fault, series: tuple[str, str]
) -> None:
    watched.bench.simulator.fail_next(fault, on={"logs"}, count=3)

    found = await samples_after(watched, 30)

    assert found[("tailer_requests_total", *series)] == 3
    assert found["tailer_request_retries_total",] == 3
    assert found["tailer_requests_total", "2xx", "200"] > 5


async def test_a_halved_rate_is_reported(watched: Watched) -> None:
    watched.bench.simulator.fail_next(Fault.UNAVAILABLE, on={"logs"}, count=3)

    found = await samples_after(watched, 10)

    assert found["tailer_request_rate",] < found["tailer_request_rate_limit",]


async def test_tokens_are_counted(watched: Watched) -> None:
    watched.bench.simulator.fail_next(Fault.SERVER_ERROR, on={"token"}, count=2)

    found = await samples_after(watched, 30)

    assert found["tailer_token_requests_total", "granted"] == 1
    assert found["tailer_token_requests_total", "failed"] == 2


async def test_a_failing_sink_is_reported_with_lag_and_failures(watched: Watched) -> None:
    down = MemorySink(name="down", fails=transient_failure)
    watched.bench.sinks = (*watched.bench.sinks, configured(down))

    found = await samples_after(watched, 60)

    assert (found["tailer_sink_up", "down"], found["tailer_sink_up", "memory"]) == (0, 1)
    assert found["tailer_sink_lag_lines", "down"] > 1000
    assert 50 < found["tailer_sink_lag_seconds", "down"] <= 60
    assert found["tailer_sink_failures_total", "down"] > 3
    assert found["tailer_sink_lag_seconds", "memory"] < 1
    assert found["tailer_spool_oldest_seconds",] == found["tailer_sink_lag_seconds", "down"]
    assert found["tailer_spool_pending_bytes",] > 100_000


async def test_the_lag_is_unchanged_after_a_restart(watched: Watched) -> None:
    down = MemorySink(name="down", fails=transient_failure)
    watched.bench.sinks = (*watched.bench.sinks, configured(down))
    await watched.bench.run_for(60)

    found = await samples_after(watched, 5)

    assert found["tailer_sink_lag_seconds", "down"] > 60


async def test_gaps_are_counted_by_reason(watched: Watched) -> None:
    bench = watched.bench
    bench.config = replace(bench.config, spool=replace(bench.config.spool, max_bytes=SMALL_BYTES))
    bench.sinks = (configured(MemorySink(name="dropping", fails=transient_failure), drops=True),)

    found = await samples_after(watched, 60)

    assert found["tailer_gaps_total", "sink_dropped"] > 0
    assert found["tailer_gaps_total", "saturated"] == 0


async def test_a_spool_filled_by_a_failing_sink_is_reported_and_healthy(
    watched: Watched,
) -> None:
    bench = watched.bench
    bench.config = replace(bench.config, spool=replace(bench.config.spool, max_bytes=SMALL_BYTES))
    bench.sinks = (configured(MemorySink(name="down", fails=transient_failure)),)

    (health, metrics) = [
        *(await watched.after(LONG_S)),
        *(await Watched(bench, watched.place).after(30, path="/metrics")),
    ]

    assert health.status == 200
    assert metrics.samples["tailer_spool_full",] == 1
    assert metrics.samples["tailer_spool_limit_bytes",] == SMALL_BYTES


async def test_a_long_outage_of_the_service_is_reported_and_healthy(
    watched: Watched,
) -> None:
    watched.bench.simulator.fail_next(Fault.BAD_GATEWAY, on=set(), count=10**9)

    answers = await watched.after(10, LONG_S, 2 * LONG_S)

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert watched.bench.health.requests.tokens_granted == 0


@pytest.mark.long
async def test_a_target_that_is_denied_for_long_is_healthy(watched: Watched) -> None:
    watched.bench.watch("deployment/dnowhere", "dnameless")

    answers = await watched.after(10, LONG_S, 4 * LONG_S)

    assert [answer.status for answer in answers] == [200, 200, 200]


async def test_a_hanging_write_is_unhealthy(watched: Watched) -> None:
    watched.bench.sinks = (configured(HangingSink(name="hanging")),)

    early, late = await watched.after(1000, 1300)

    assert early.status == 200
    assert (late.status, late.json["reasons"][0][:21]) == (503, "sink hanging: writing")


async def test_an_idle_service_is_healthy(watched: Watched) -> None:
    watched.bench.end_targets()

    answers = await watched.after(10, LONG_S, 4 * LONG_S)

    assert [answer.status for answer in answers] == [200, 200, 200]


async def test_during_shutdown_it_is_healthy_but_not_ready(watched: Watched, place: Path) -> None:
    bench = watched.bench
    bench.sinks = (configured(HangingSink(name="hanging")),)
    responses: list[HttpResponse] = []

    async def stop() -> None:
        async def request() -> None:
            await bench.clock.sleep(5)
            responses.extend([await ask(place, "/healthz"), await ask(place, "/readyz")])

        await bench.clock.sleep(15)
        beside.start_soon(request)

    async with anyio.create_task_group() as beside:
        await bench.run(stop)

    assert [answer.status for answer in responses] == [200, 503]
    assert responses[1].json["reasons"] == ["tailer is stopping"]


async def test_it_becomes_ready_step_by_step(watched: Watched) -> None:
    bench = watched.bench
    bench.simulator.fail_next(Fault.SERVER_ERROR, on={"token"}, count=3)
    bench.sinks = (configured(BarredSink(until_s=50, now_s=bench.clock.monotonic_s)),)

    answers = await watched.after(0.1, 40, 100, path="/readyz")

    assert [answer.json["reasons"] for answer in answers] == [
        ["no token yet", "sink barred is not open", f"{FIRST} in default was not read yet"],
        ["sink barred is not open"],
        [],
    ]
    assert answers[-1].status == 200


@dataclass(slots=True)
class BarredSink(MemorySink):
    """Cannot be opened before `until_s`."""

    name: str = "barred"
    until_s: float = 0.0
    now_s: Any = None

    async def open(self, mark: bytes | None) -> bytes | None:
        if self.now_s() < self.until_s:
            raise transient_failure()
        return await MemorySink.open(self, mark)


async def test_the_status_has_targets_and_sinks(watched: Watched) -> None:
    watched.bench.watch(SECOND, "deployment/dnowhere")
    (response,) = await watched.after(60, path="/status")

    seen = response.json
    assert [(row["target"], row["phase"]) for row in seen["targets"]] == [
        ("deployment/dnowhere", "failed"),
        (FIRST, "following"),
        (SECOND, "following"),
    ]
    assert seen["targets"][0]["reason"].count("404") == 1
    assert [sink["sink"] for sink in seen["sinks"]] == ["memory"]
    assert seen["is_ready"]


async def test_an_address_in_use_ends_the_start_before_the_spool_is_opened(
    bench: Bench,
) -> None:
    async def request() -> None:
        with pytest.raises(ConfigError, match="address already in use"):
            await replace(bench, config=second).run_for(1)

    second = replace(
        bench.config, spool=replace(bench.config.spool, path=bench.spool.with_name("other.db"))
    )
    await bench.run(request)

    assert not bench.spool.with_name("other.db").exists()


async def test_a_head_request_has_no_body(watched: Watched, place: Path) -> None:
    responses: list[HttpResponse] = []

    async def request() -> None:
        await watched.bench.clock.sleep(5)
        responses.append(await ask(place, "/metrics", method="HEAD"))

    await watched.bench.run(request)

    assert (responses[0].status, responses[0].body) == (200, b"")


def stand_still(seconds: float) -> None:
    """As if one step of one task took so long."""
    loop = get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop._jumping.jumped_s += seconds


async def test_a_blocked_event_loop_is_reported(bench: Bench, place: Path) -> None:
    responses: list[HttpResponse] = []

    async def request() -> None:
        await bench.clock.sleep(5)
        stand_still(15)
        responses.append(await ask(place, "/healthz"))

    await bench.run(request)

    assert responses[0].status == 503
    assert "was blocked" in responses[0].json["reasons"][0]
