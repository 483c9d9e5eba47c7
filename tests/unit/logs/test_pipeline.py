"""A run of `tailer logs` from the inside, in virtual time."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from support.fakes import MemorySink, MemorySource
from support.virtual_time import START_NS, VirtualClock

from tailer.config import PollSettings
from tailer.errors import NotFoundError, ReaderGoneError, SinkError
from tailer.health.targets import Phase
from tailer.logs.outcome import Cause, Outcome, Verdict
from tailer.logs.pipeline import (
    FilteredSink,
    FindTargets,
    Pipeline,
    ReadRequest,
    already_found,
)
from tailer.logs.printed import PrintedLines
from tailer.logs.report import closing_report
from tailer.logs.stops import Stop, timed_out
from tailer.model import Batch, Kind, Status, Target
from tailer.timestamp import NS_PER_S

E1 = Target("default", Kind.EXECUTION, "e1")
SETTINGS = PollSettings(lateness_s=10, drain_s=10)
FOLLOW = ReadRequest(E1, START_NS - NS_PER_S, None)


@dataclass(slots=True)
class Output(MemorySink):
    """A sink whose reader leaves when the test sets `has_left`."""

    has_left: anyio.Event = field(default_factory=anyio.Event)

    async def reader_gone(self) -> None:
        await self.has_left.wait()


def everything(batch: Batch) -> Batch:
    return batch


class Rig:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.source = MemorySource(clock)
        self.output = Output(name="stdout")
        self.copy = Output(name="copy")
        self.outcome = Outcome()

    def say(self, *messages: str, at_s: float = 0.0) -> None:
        for number, message in enumerate(messages):
            at_ns = START_NS + round(at_s * NS_PER_S) + number
            self.source.store.add(at_ns, message, visible_from_ns=at_ns - number)

    async def run(self, *, find: FindTargets | None = None, stops: Sequence[Stop] = ()) -> None:
        pipeline = Pipeline(
            outcome=self.outcome,
            source=self.source,
            settings=SETTINGS,
            clock=self.clock,
            jitter=random.Random(1).random,
        )
        await pipeline.run(
            find or already_found([FOLLOW]),
            output=FilteredSink(self.output, everything),
            copies=[FilteredSink(self.copy, everything)],
            stops=stops,
        )

    async def run_while(self, happens: Callable[[], None], *, at_s: float) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run)
            await self.clock.sleep(at_s)
            happens()

    def report(self, *, quiet: bool = False) -> list[str]:
        return closing_report(
            self.outcome, PrintedLines(), quiet=quiet, in_color=False
        ).splitlines()


@pytest.fixture
def rig(clock: VirtualClock) -> Rig:
    return Rig(clock)


async def test_the_run_ends_with_the_execution_and_its_verdict(rig: Rig) -> None:
    rig.say("at work", "last words")

    await rig.run_while(lambda: setattr(rig.source, "status", Status.DEAD), at_s=60)

    assert rig.outcome.result == (Verdict.DEAD, 10)
    assert [line.msg for line in rig.output.lines] == ["at work", "last words"]
    assert rig.copy.lines == rig.output.lines


async def test_a_target_deleted_while_followed_is_a_gap(rig: Rig) -> None:
    rig.say("at work")

    await rig.run_while(lambda: setattr(rig.source, "is_gone", True), at_s=60)

    assert rig.outcome.result == (Verdict.GAP, 6)
    assert rig.report(quiet=True) == ["execution/e1: deleted while it was followed, no lines"]


async def test_a_target_that_still_runs_at_the_timeout_is_named(
    rig: Rig, clock: VirtualClock
) -> None:
    await rig.run(stops=[timed_out(60, clock)])

    assert rig.outcome.result == (Verdict.TIMEOUT, 124)
    assert rig.report(quiet=True) == ["execution/e1: still RUNNING at the timeout, no lines"]


async def test_a_failed_tee_file_affects_only_the_exit_code(
    rig: Rig,
) -> None:
    rig.copy.fails = lambda: SinkError("the disk is full")
    rig.say(*[f"{number}" for number in range(10)])
    for second in range(1, 30):
        rig.say(f"{second} s", at_s=second)

    await rig.run_while(lambda: setattr(rig.source, "status", Status.COMPLETED), at_s=60)

    assert len(rig.output.lines) == 39
    assert rig.outcome.result == (Verdict.FAILED, 5)


async def test_a_failed_output_ends_the_run_and_the_tee_file_gets_all_read_lines(
    rig: Rig,
) -> None:
    rig.output.fails = lambda: SinkError("the disk is full")
    rig.say("one", "two")

    await rig.run()

    assert [line.msg for line in rig.copy.lines] == ["one", "two"]
    assert rig.outcome.result == (Verdict.FAILED, 5)
    assert str(rig.outcome.failure) == "the disk is full"


@pytest.mark.parametrize("at_a_write", [True, False])
async def test_a_reader_that_leaves_ends_the_run_without_failure(
    rig: Rig, at_a_write: bool
) -> None:
    rig.say("one", "two")
    if at_a_write:
        rig.output.fails = lambda: ReaderGoneError("enough")

    await rig.run_while(rig.output.has_left.set, at_s=60)

    assert [line.msg for line in rig.copy.lines] == ["one", "two"]
    assert rig.outcome.result == (Verdict.READER_GONE, 0)
    assert rig.outcome.cause is Cause.READER_GONE


async def test_targets_can_be_added_while_others_are_followed(
    rig: Rig, clock: VirtualClock
) -> None:
    e2 = Target("default", Kind.EXECUTION, "e2")
    rig.say("one")

    async def find(pipeline: Pipeline) -> None:
        pipeline.start(FOLLOW)
        pipeline.start(FOLLOW)
        await clock.sleep(30)
        pipeline.start(ReadRequest(e2, START_NS - NS_PER_S, None))
        pipeline.fail("execution/e3", NotFoundError("there is no e3"))
        rig.source.status = Status.COMPLETED

    await rig.run(find=find)

    assert set(rig.outcome.verdicts) == {E1, e2}
    assert [line.msg for line in rig.output.lines] == ["one", "one"]
    assert rig.outcome.result[1] == 4


async def test_a_search_that_fails_ends_everything(rig: Rig) -> None:
    async def find(pipeline: Pipeline) -> None:
        pipeline.start(FOLLOW)
        raise NotFoundError("there is no e2")

    await rig.run(find=find)

    assert str(rig.outcome.failure) == "there is no e2"
    assert rig.outcome.result[1] == 4


def test_the_worst_verdict_of_several_executions_wins() -> None:
    ended = [Status.COMPLETED, Status.DEAD, Status.STOPPED]
    outcome = Outcome()
    codes = []
    for number, status in enumerate(ended):
        outcome.verdicts[Target("default", Kind.EXECUTION, f"e{number}")] = status
        codes.append(outcome.result)
    outcome.verdicts.pop(Target("default", Kind.EXECUTION, "e1"))
    codes.append(outcome.result)

    assert codes == [
        (Verdict.COMPLETED, 0),
        (Verdict.DEAD, 10),
        (Verdict.DEAD, 10),
        (Verdict.STOPPED, 11),
    ]


@pytest.mark.parametrize("phase", [Phase.GONE, Phase.FOLLOWING])
def test_the_report_is_safe_for_a_terminal_whatever_the_service_calls_its_targets(
    phase: Phase,
) -> None:
    outcome = Outcome()
    target = Target("default", Kind.EXECUTION, "e1\x1b[2J\n")
    outcome.health.of(target).phase = phase
    outcome.verdicts[target] = Status.RUNNING

    report = closing_report(outcome, PrintedLines(), quiet=False, in_color=False)

    assert report.count("\n") == 1
    assert "\x1b" not in report
