"""The contract of a log source, tested on the one in memory and on the client with a simulator."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.fakes import MemorySource
from support.memory_service import StoredLine
from support.virtual_time import START_NS, VirtualClock

from tailer.aicore.connect import connect
from tailer.aicore.credentials import find_credentials
from tailer.errors import NotFoundError, TransientApiError
from tailer.model import Entry, Kind, Order, Page, Status, Target
from tailer.polling.log_reader import LogSource
from tailer.simulator import Fault, Simulator, SimulatorSettings, TargetSettings
from tailer.timestamp import NS_PER_S

TARGET = Target("default", Kind.DEPLOYMENT, "d1234567")


@dataclass(slots=True)
class Rig:
    """A source, and what a test may do to the service behind it."""

    source: LogSource
    add_line: Callable[[float, str, float], None]  # second, message, second from which it is shown
    set_status: Callable[[Status], None]
    delete: Callable[[], None]
    fail_next: Callable[[], None]
    failures: list[TransientApiError] = field(default_factory=list)

    def note_failure(self, error: TransientApiError, retry_in_s: float) -> None:
        assert retry_in_s >= 0
        self.failures.append(error)

    async def page(
        self, start_s: float, end_s: float, *, order: Order = Order.ASC, top: int = 5000
    ) -> Page:
        return await self.source.logs(
            TARGET,
            start_ns=at_ns(start_s),
            end_ns=at_ns(end_s),
            order=order,
            top=top,
            on_retry=self.note_failure,
        )

    async def messages(
        self, start_s: float, end_s: float, *, order: Order = Order.ASC
    ) -> list[object]:
        return [entry.msg for entry in (await self.page(start_s, end_s, order=order)).entries]


def at_ns(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_S)


@asynccontextmanager
async def in_memory(clock: VirtualClock) -> AsyncIterator[Rig]:
    failing: set[int] = set()
    source = MemorySource(clock, fails=lambda request: request in failing)

    def add_line(second: float, msg: str, shown_from_s: float) -> None:
        source.store.lines.append(
            StoredLine(at_ns(second), Entry(msg=msg), visible_from_ns=at_ns(shown_from_s))
        )
        source.store.lines.sort(key=lambda line: line.time_ns)

    yield Rig(
        source,
        add_line=add_line,
        set_status=lambda status: setattr(source, "status", status),
        delete=lambda: setattr(source, "is_gone", True),
        fail_next=lambda: failing.add(source.requests + 1),
    )


@asynccontextmanager
async def client_and_service(clock: VirtualClock) -> AsyncIterator[Rig]:
    target = TargetSettings(kind=TARGET.kind, id=TARGET.id, rate_per_s=0.0)
    simulator = Simulator(SimulatorSettings(targets=(target,), backlog_s=0.0), clock)
    async with simulator.serving() as url:
        credentials = find_credentials(simulator.credentials(url), home=Path("/nonexistent"))
        async with connect(credentials, clock=clock, rng=random.Random(1)) as client:
            yield Rig(
                client,
                add_line=lambda second, msg, shown_from_s: simulator.add_line(
                    TARGET, at_ns(second), msg, visible_at_ns=at_ns(shown_from_s)
                ),
                set_status=lambda status: simulator.set_status(TARGET, status),
                delete=lambda: simulator.remove_target(TARGET),
                fail_next=lambda: simulator.fail_next(Fault.UNAVAILABLE, on=("logs", "get")),
            )


Opening = Callable[[VirtualClock], AbstractAsyncContextManager[Rig]]
SOURCES: dict[str, Opening] = {"memory": in_memory, "client": client_and_service}

pytestmark = pytest.mark.parametrize("opening", SOURCES.values(), ids=SOURCES)


async def test_a_page_has_the_lines_of_the_range_in_the_requested_order(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        for second in range(-5, 0):
            rig.add_line(second, f"line {second}", second)
        oldest_first = await rig.messages(-4.5, -1.5)
        newest_first = await rig.messages(-4.5, -1.5, order=Order.DESC)

    assert oldest_first == ["line -4", "line -3", "line -2"]
    assert newest_first == ["line -2", "line -3", "line -4"]


async def test_identical_lines_are_two_lines(opening: Opening, clock: VirtualClock) -> None:
    async with opening(clock) as rig:
        rig.add_line(-2, "twin", -2)
        rig.add_line(-2, "twin", -2)

        assert await rig.messages(-3, -1) == ["twin", "twin"]


async def test_a_page_that_is_not_full_is_complete(opening: Opening, clock: VirtualClock) -> None:
    async with opening(clock) as rig:
        for number in range(3):
            rig.add_line(-3 + number / 10, str(number), -3)
        cut = await rig.page(-4, -1, top=2)
        whole = await rig.page(-4, -1, top=4)

    assert ([entry.msg for entry in cut.entries], cut.top) == (["0", "1"], 2)
    assert ([entry.msg for entry in whole.entries], whole.top) == (["0", "1", "2"], 4)


async def test_a_range_without_lines_is_an_empty_page(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        assert await rig.messages(-3, -1) == []


async def test_a_late_line_is_in_the_page_once_the_service_shows_it(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        rig.add_line(1, "late", 10)
        await clock.sleep(5)
        early = await rig.messages(0, 20)
        await clock.sleep(6)

        assert (early, await rig.messages(0, 20)) == ([], ["late"])


async def test_the_service_clock_is_never_ahead_and_moves_with_the_answers(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        first = await rig.page(-2, -1)
        await clock.sleep(60)
        asked_ns = clock.wall_ns()
        second = await rig.page(-2, -1)
        known_ns = rig.source.server_now_ns()

        assert known_ns is not None
        assert first.server_now_ns < second.server_now_ns <= known_ns <= clock.wall_ns()
        assert asked_ns - second.server_now_ns <= 2 * NS_PER_S  # of HTTP dates and the way here


async def test_the_status_is_available_with_and_without_details(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        for status in (Status.RUNNING, Status.STOPPED):
            rig.set_status(status)
            whole = await rig.source.get(TARGET, on_retry=rig.note_failure)
            alone = await rig.source.get(TARGET, only_status=True, on_retry=rig.note_failure)

            assert (whole.target, whole.status, whole.scenario_id) == (TARGET, status, "churn")
            assert (alone.target, alone.status) == (TARGET, status)


async def test_a_target_that_was_deleted_is_not_found(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        rig.delete()

        with pytest.raises(NotFoundError):
            await rig.page(-2, -1)
        with pytest.raises(NotFoundError):
            await rig.source.get(TARGET, on_retry=rig.note_failure)


async def test_a_failed_request_is_reported_and_retried(
    opening: Opening, clock: VirtualClock
) -> None:
    async with opening(clock) as rig:
        rig.add_line(-2, "line", -2)
        rig.fail_next()
        shown = await rig.messages(-3, -1)
        rig.fail_next()
        workload = await rig.source.get(TARGET, on_retry=rig.note_failure)

    assert (shown, workload.target) == (["line"], TARGET)
    assert ["503" in error.message for error in rig.failures] == [True, True]
