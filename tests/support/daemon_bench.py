"""The whole service beside a simulated AI Core, in one loop of virtual time."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from support.fakes import MemorySink
from tailer.aicore.credentials import find_credentials
from tailer.clock import Clock
from tailer.config import Config, DaemonSection, PollSettings, SpoolSection, StatusSection, Watch
from tailer.config.settings import PaceSettings
from tailer.daemon.daemon import run_daemon
from tailer.daemon.reload import ReloadSource, Setup
from tailer.daemon.sinks import ConfiguredSink
from tailer.health.health import Health
from tailer.model import Batch, Entry, Status
from tailer.simulator import Simulator, load_settings
from tailer.sinks.contract import Sink

POLL = PollSettings(
    pace=PaceSettings(interval_s=1, idle_interval_s=3),
    lateness_s=20,
    drain_s=20,
    backfill_s=60,
    requests_per_s=100,
)
SHUTDOWN_S = 10.0
FIRST, SECOND = "deployment/d1234567", "deployment/d7654321"
FORBIDDEN_GROUP = "team-b"
LINE_FIELDS = ("timestamp", "pod", "container", "stream", "msg")
Line: TypeAlias = tuple[Any, ...]


def world(**more: Any) -> dict[str, Any]:
    """Two talkative deployments, with late lines and twins."""
    ids = [name.partition("/")[2] for name in (FIRST, SECOND)]
    return {
        "rate_per_s": 40.0,
        "backlog_s": 5.0,
        "lines": {"late_share": 0.05, "max_lateness_s": 8.0, "twin_share": 0.1},
        "target": [{"kind": "deployment", "id": id_} for id_ in ids],
        "token": {"client_secret": "right"},
        "forbidden_resource_groups": [FORBIDDEN_GROUP],
        **more,
    }


@dataclass(slots=True)
class Bench:
    """What a test may change before, between and during runs of the service."""

    simulator: Simulator
    clock: Clock
    config: Config
    environ: dict[str, str]
    sinks: tuple[ConfiguredSink, ...] = ()
    health: Health = field(default_factory=Health)
    reloads: ReloadSource | None = None

    async def run(self, until: Callable[[], Awaitable[object]], *, strict: bool = False) -> float:
        """Run the service until that is over, as until a signal; how long it then took, in s."""
        stopped_s = 0.0

        async def stop() -> None:
            nonlocal stopped_s
            await until()
            stopped_s = self.clock.monotonic_s()

        await run_daemon(
            Setup(
                config=self.config,
                credentials=find_credentials(self.environ, home=Path("/nonexistent")),
                sinks=self.sinks,
            ),
            clock=self.clock,
            rng=random.Random(1),
            environ={},
            stop=stop,
            reloads=self.reloads,
            health=self.health,
            strict=strict,
        )
        return self.clock.monotonic_s() - stopped_s

    async def run_for(self, seconds: float, *, strict: bool = False) -> float:
        return await self.run(lambda: self.clock.sleep(seconds), strict=strict)

    async def run_to_the_end(self) -> None:
        """A last run, in which every target ends and every line arrives."""
        await self.run(lambda: self.end_and_wait(5))

    async def end_and_wait(self, after_s: float) -> None:
        """Let the service run for so long, and then until every line has come."""
        await self.clock.sleep(after_s)
        self.end_targets()
        await self.clock.sleep(90)

    def end_targets(self) -> None:
        for target in self.simulator.targets:
            self.simulator.set_status(target, Status.STOPPED)

    def watch(self, *names: str, resource_group: str | None = None) -> None:
        groups = None if resource_group is None else (resource_group,)
        self.select(targets=names, resource_group=groups)

    def select(self, **keys: Any) -> None:
        """One more [[watch]] with these keys."""
        self.config = replace(self.config, watches=(*self.config.watches, Watch(**keys)))

    @property
    def spool(self) -> Path:
        return self.config.spool.path

    @property
    def shown(self) -> Counter[Line]:
        """Every line that the service has shown up to now, of all targets."""
        return Counter(
            tuple(entry.get(name) for name in LINE_FIELDS)
            for target in self.simulator.targets
            for entry in self.simulator.shown(target)
        )


@asynccontextmanager
async def benched(folder: Path, clock: Clock, **more: Any) -> AsyncIterator[Bench]:
    simulator = Simulator(load_settings(overrides=world(**more)), clock)
    config = Config(
        poll=POLL,
        spool=SpoolSection(path=folder / "state" / "spool.db"),
        status=StatusSection(listen=""),  # tests run side by side
        daemon=DaemonSection(shutdown_timeout_s=SHUTDOWN_S),
    )
    async with simulator.serving() as url:
        yield Bench(simulator, clock, config, simulator.credentials(url))


def everything(batch: Batch) -> Batch:
    return batch


def configured(sink: Sink, *, drops: bool = False) -> ConfiguredSink:
    return ConfiguredSink(sink, everything, drops=drops)


def lines_of(sink: MemorySink) -> Counter[Line]:
    return Counter(line_of(entry) for entry in sink.lines)


def line_of(entry: Entry) -> Line:
    fields = msgspec.to_builtins(entry)
    return tuple(fields.get(name) for name in LINE_FIELDS)
