"""Reload: changed watches, sinks, intervals and credentials; unchanged parts are kept."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.daemon_bench import FIRST, SECOND, Bench, configured, lines_of
from support.fakes import MemorySink, SlowSink, transient_failure
from support.json_files import shown_in_files, without_newlines

from tailer.aicore.credentials import find_credentials
from tailer.config import FileSection, SinkSection, Watch
from tailer.daemon.reload import ReloadSource, Setup
from tailer.daemon.sinks import ConfiguredSink, build_sinks
from tailer.errors import ConfigError
from tailer.health.targets import Phase
from tailer.model import GapReason

BOTH = Watch(targets=(FIRST, SECOND))


class Operator:
    """Changes the configuration of a service on the bench while it runs."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.applied = 0
        self.refusal: ConfigError | None = None
        self.reloads = bench.reloads = ReloadSource(self._read, on_done=self._note)

    def _read(self) -> Setup:
        if self.refusal is not None:
            raise self.refusal
        return Setup(
            config=self.bench.config,
            credentials=find_credentials(self.bench.environ, home=Path("/nonexistent")),
            sinks=self.bench.sinks,
        )

    def _note(self) -> None:
        self.applied += 1

    async def reload(
        self, *watches: Watch, sinks: tuple[ConfiguredSink, ...] | None = None
    ) -> None:
        """Returns when it is done."""
        if watches:
            self.bench.config = replace(self.bench.config, watches=watches)
        self.bench.sinks = self.bench.sinks if sinks is None else sinks
        before = self.applied
        self.reloads.request()
        while self.applied == before:
            await self.bench.clock.sleep(0.1)


@pytest.fixture
def operator(bench: Bench) -> Operator:
    bench.sinks = (configured(MemorySink()),)
    bench.select(targets=(FIRST,))
    return Operator(bench)


def only_sink(bench: Bench) -> MemorySink:
    sink = bench.sinks[0].sink
    assert isinstance(sink, MemorySink)
    return sink


async def test_changed_watches_lose_and_repeat_no_line(bench: Bench, operator: Operator) -> None:
    async def operate() -> None:
        for watches in ([BOTH], [Watch(targets=(SECOND,))], [Watch(kind="deployment")], [BOTH]):
            await bench.clock.sleep(7)
            await operator.reload(*watches)
        await bench.end_and_wait(5)

    await bench.run(operate)

    assert lines_of(only_sink(bench)) == bench.shown


async def test_a_target_continues_when_another_watch_selects_it(
    bench: Bench, operator: Operator
) -> None:
    bare = Watch(targets=(FIRST.partition("/")[2],))
    both = [Watch(targets=(FIRST,)), bare]

    async def operate() -> None:
        for watches in (both, [bare], [Watch(kind="deployment"), bare], [bare]):
            await operator.reload(*watches)
            await bench.clock.sleep(10)
        await operator.reload(BOTH)
        await bench.end_and_wait(5)

    await bench.run(operate)

    assert lines_of(only_sink(bench)) == bench.shown


async def test_a_removed_target_is_not_read_and_not_reported(
    bench: Bench, operator: Operator
) -> None:
    async def operate() -> None:
        await operator.reload(BOTH)
        await bench.clock.sleep(10)
        await operator.reload(Watch(targets=(SECOND,)))
        reads = bench.simulator.stats()["requests"]["logs"]
        await bench.clock.sleep(1)
        names = [one.name for one in bench.health.names]
        targets = [one.name for one in bench.health.targets]

        assert (names, targets) == ([SECOND], [SECOND])
        assert bench.simulator.stats()["requests"]["logs"] > reads

    await bench.run(operate)


async def test_unchanged_targets_are_not_interrupted(bench: Bench, operator: Operator) -> None:
    async def operate() -> None:
        await bench.clock.sleep(10)
        (before,) = bench.health.targets.values()
        await operator.reload(BOTH)
        await bench.clock.sleep(10)

        assert next(iter(bench.health.targets.values())) is before
        assert before.phase is Phase.FOLLOWING

    with capture_logs() as events:
        await bench.run(operate)

    following = [event["target"] for event in events if event.get("phase") == "following"]
    assert following == [FIRST, SECOND]


async def test_a_changed_interval_keeps_the_position(bench: Bench, operator: Operator) -> None:
    async def operate() -> None:
        for lateness_s in (30, 20, 25):
            await bench.clock.sleep(5)
            poll = replace(bench.config.poll, lateness_s=lateness_s)
            bench.config = replace(bench.config, poll=poll)
            await operator.reload(BOTH)
        await bench.end_and_wait(5)

    await bench.run(operate)

    assert lines_of(only_sink(bench)) == bench.shown


async def test_a_new_sink_gets_new_lines_and_a_removed_sink_none(
    bench: Bench, operator: Operator
) -> None:
    first, second = MemorySink(), MemorySink(name="second")

    async def operate() -> None:
        await bench.clock.sleep(10)
        await operator.reload(sinks=(configured(first), configured(second)))
        await bench.clock.sleep(10)
        await operator.reload(sinks=(configured(second),))
        await bench.end_and_wait(5)

    bench.sinks = (configured(first),)
    await bench.run(operate)

    assert lines_of(first) < bench.shown
    assert lines_of(second) < bench.shown
    assert lines_of(first) + lines_of(second) >= bench.shown - of_second(bench)


def of_second(bench: Bench) -> Counter[tuple[object, ...]]:
    """Shown lines of the target that no watch selects."""
    target = next(one for one in bench.simulator.targets if one.name == SECOND)
    fields = ("timestamp", "pod", "container", "stream", "msg")
    return Counter(
        tuple(entry.get(name) for name in fields) for entry in bench.simulator.shown(target)
    )


async def test_a_removed_sink_finishes_its_write_in_progress(
    bench: Bench, operator: Operator
) -> None:
    slow = SlowSink(name="slow", clock=bench.clock, write_s=3)
    kept = MemorySink()

    async def operate() -> None:
        await bench.clock.sleep(10)
        await operator.reload(sinks=(configured(kept),))
        assert not slow.is_open

    bench.sinks = (configured(slow), configured(kept))
    await bench.run(operate)

    assert slow.lines


async def test_lines_that_a_removed_sink_lacks_are_a_gap(bench: Bench, operator: Operator) -> None:
    down, kept = MemorySink(name="down", fails=transient_failure), MemorySink()

    async def operate() -> None:
        await bench.clock.sleep(10)
        await operator.reload(BOTH, sinks=(configured(kept),))
        await bench.end_and_wait(5)

    bench.sinks = (configured(down), configured(kept))
    with capture_logs() as events:
        await bench.run(operate)

    gaps = [(event["sink"], event["reason"]) for event in events if event["event"] == "gap"]
    assert gaps == [("down", "sink_dropped")]
    assert bench.health.gaps == {GapReason.SINK_DROPPED: 1}
    assert lines_of(kept) == bench.shown
    assert list(bench.health.sinks) == ["memory"]


async def test_a_changed_sink_resumes_at_its_position(
    bench: Bench, operator: Operator, tmp_path: Path
) -> None:
    def built(rotate_bytes: int) -> tuple[ConfiguredSink, ...]:
        to = FileSection(
            path=f"{tmp_path}/logs/{{id}}.log",
            rotate_bytes=rotate_bytes,
            keep_files=1000,
            compress=False,
        )
        bench.config = replace(bench.config, sinks=(SinkSection(name="file", to=to),))
        return build_sinks(bench.config, clock=bench.clock, health=bench.health)

    async def operate() -> None:
        for rotate_bytes in (0, 4096, 4096, 100_000):
            await bench.clock.sleep(5)
            await operator.reload(BOTH, sinks=built(rotate_bytes))
        await bench.end_and_wait(5)

    bench.sinks = built(8192)
    with capture_logs() as events:
        await bench.run(operate)

    changes = [event["changed"] for event in events if event["event"] == "sinks_changed"]
    assert changes == [["file"]] * 3
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)


async def test_a_moved_file_is_reopened_without_a_gap_also_without_changes(
    bench: Bench, operator: Operator, tmp_path: Path
) -> None:
    to = FileSection(path=f"{tmp_path}/logs/{{id}}.log", rotate_bytes=0)
    bench.config = replace(bench.config, sinks=(SinkSection(name="file", to=to),))
    bench.sinks = build_sinks(bench.config, clock=bench.clock, health=bench.health)
    path = tmp_path / "logs" / "d1234567.log"

    async def operate() -> None:
        await operator.reload(BOTH)
        await bench.clock.sleep(10)
        path.rename(path.with_name("d1234567-yesterday.log"))
        await operator.reload()
        await bench.end_and_wait(5)

    await bench.run(operate)

    assert path.exists()
    assert shown_in_files(tmp_path / "logs") == without_newlines(bench.shown)
    assert not bench.health.gaps


async def test_a_rejected_configuration_changes_nothing_and_names_every_mistake(
    bench: Bench, operator: Operator
) -> None:
    async def operate() -> None:
        await bench.clock.sleep(5)
        operator.refusal = ConfigError("one mistake\nand another")
        await operator.reload(Watch(targets=(SECOND,)))
        assert [one.name for one in bench.health.names] == [FIRST]
        operator.refusal = None
        await operator.reload(BOTH)
        await bench.end_and_wait(5)

    with capture_logs() as events:
        await bench.run(operate)

    reported = [event["error"] for event in events if event["event"] == "reload_rejected"]
    assert reported == ["one mistake", "and another"]
    assert lines_of(only_sink(bench)) == bench.shown


async def test_changed_credentials_are_used_only_if_they_work(
    bench: Bench, operator: Operator
) -> None:
    good = dict(bench.environ)

    async def operate() -> None:
        await bench.clock.sleep(5)
        bench.environ["AICORE_CLIENT_SECRET"] = "wrong"
        await operator.reload(BOTH)
        assert [one.name for one in bench.health.names] == [FIRST]
        bench.environ.update(good, AICORE_CLIENT_ID="another")
        await operator.reload(BOTH)
        await bench.end_and_wait(5)

    with capture_logs() as events:
        await bench.run(operate)

    reported = [event["event"] for event in events if event["event"].startswith(("reload", "cred"))]
    assert reported == ["reload_rejected", "credentials_changed", "reloaded"]
    assert lines_of(only_sink(bench)) == bench.shown


async def test_keys_that_need_a_restart_are_named_and_kept(
    bench: Bench, operator: Operator, tmp_path: Path
) -> None:
    async def operate() -> None:
        spool = replace(bench.config.spool, path=tmp_path / "elsewhere.db")
        bench.config = replace(bench.config, spool=spool)
        await operator.reload(BOTH)
        await bench.end_and_wait(5)

    with capture_logs() as events:
        await bench.run(operate)

    reported = [event["section"] for event in events if event["event"] == "restart_required"]
    assert reported == ["[spool]"]
    assert not (tmp_path / "elsewhere.db").exists()
    assert lines_of(only_sink(bench)) == bench.shown


async def test_many_reload_requests_are_merged(bench: Bench, operator: Operator) -> None:
    async def operate() -> None:
        for _ in range(1000):
            operator.reloads.request()
            await bench.clock.sleep(0.001)
        await bench.clock.sleep(2)

    await bench.run(operate)

    assert 1 <= operator.applied <= 4


async def test_a_signal_during_a_reload_stops_the_service_cleanly(
    bench: Bench, operator: Operator
) -> None:
    slow = SlowSink(name="slow", clock=bench.clock, write_s=8)
    kept = MemorySink()

    async def operate() -> None:
        await bench.clock.sleep(10)
        operator.bench.sinks = (configured(kept),)
        operator.reloads.request()
        await bench.clock.sleep(1)

    bench.sinks = (configured(slow), configured(kept))
    took_s = await bench.run(operate)

    assert took_s <= bench.config.daemon.shutdown_timeout_s + 1
    assert operator.applied == 0
