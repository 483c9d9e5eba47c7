"""A service whose disk fails on request, and the final balance of its lines.

A Bench runs `tailer run` again and again against one live service, keeps what each run said
and how it ended, and in the end has the files compared with what the service showed.
"""

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from stress.live_service import SINKS, config, lines_in, shown_by, start, world
from support.stoppable_clock import StoppableClock

from tailer.clock import SystemClock
from tailer.simulator import Simulator, load_settings

ENDING_S = 30.0  # a run that takes longer to end after SIGTERM hangs
PATIENCE_S = 90.0  # until everything is in the files; a sink tries again after at most 30 s


@dataclass(slots=True)
class Bench:
    folder: Path
    simulator: Simulator
    clock: StoppableClock
    environ: dict[str, str]
    runs: int = 0
    exits: list[int | None] = field(default_factory=list)
    injected: int = 0
    complaints: list[str] = field(default_factory=list)
    written: dict[str, Counter[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    async def pause(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def begin(self, tracer: Sequence[str] = ()) -> Process:
        self.runs += 1
        with (self.folder / f"run{self.runs}.log").open("wb") as log:
            return await start(self.folder, self.environ, log, tracer=tracer)

    async def end(self, process: Process) -> int:
        """Ask it to end, unless it has already. The exit code is noted and judged."""
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(ENDING_S) as waiting:
            await process.wait()
        if waiting.cancelled_caught:
            self.complain("hangs, had to be killed")
            process.kill()
        exit_code = await process.wait()
        self.exits.append(exit_code)
        output = self.output()
        if exit_code not in {0, 5} or "Traceback" in output:
            self.complain(f"exit {exit_code}: {output[-1500:]}")
        if exit_code and not any(line.startswith("tailer: ") for line in output.splitlines()):
            self.complain(f"exit {exit_code} without a reason: {output[-500:]}")
        return exit_code

    async def live(self, seconds: float, tracer: Sequence[str] = ()) -> int:
        """One run, ended after that time if it does not end before."""
        process = await self.begin(tracer)
        with anyio.move_on_after(seconds):
            await process.wait()
        return await self.end(process)

    async def live_injected(self, seconds: float, calls: str, inject: str, *paths: Path) -> int:
        """`inject` as strace takes it, for these calls, and for these files only if any."""
        traced = self.folder / "strace.out"
        tracer = [
            "strace",
            "-f",
            "-D",
            "--seccomp-bpf",
            "-qqq",
            "-e",
            "signal=none",
            "-o",
            str(traced),
        ]
        tracer += ["-e", f"trace={calls}", "-e", f"inject={calls}:{inject}"]
        tracer += [word for path in paths for word in ("-P", str(path))]
        exit_code = await self.live(seconds, tracer)
        await self.pause(0.3)  # strace goes after what it traces
        self.injected += traced.read_bytes().count(b"INJECTED")
        return exit_code

    def output(self) -> str:
        """What the latest run has said."""
        return (self.folder / f"run{self.runs}.log").read_text(encoding="utf-8")

    def complain(self, reason: str) -> None:
        self.complaints.append(f"run {self.runs}: {reason}")

    async def hears(
        self, event: str, *, times: int = 1, unless_ended: Process | None = None
    ) -> None:
        """Wait until the running one has said so; or has ended, where that will do as well."""
        with anyio.move_on_after(PATIENCE_S) as waiting:
            while self.output().count(event) < times:
                if unless_ended is not None and unless_ended.returncode is not None:
                    return
                await self.pause(0.1)
        if waiting.cancelled_caught:
            self.complain(f"never said {event}")

    async def finish(self, running: Process | None = None) -> None:
        """Stop the service's time, and wait until every line is where it belongs."""
        self.clock.stop()
        process = running or await self.begin()
        total = shown_by(self.simulator).total()
        with anyio.move_on_after(PATIENCE_S):
            while process.returncode is None and any(self._lines(each) < total for each in SINKS):
                await self.pause(0.5)
        if await self.end(process) != 0:
            self.complain(f"the last run did not end well: {self.output()[-500:]}")
        self.written = {sink: self._written(sink) for sink in SINKS}

    def _lines(self, sink: str) -> int:
        try:
            return self._written(sink).total()
        except (ValueError, OSError, EOFError):  # caught in the middle of a change
            return 0

    def _written(self, sink: str) -> Counter[tuple[Any, ...]]:
        """Also what was moved to a folder of a similar name."""
        found: Counter[tuple[Any, ...]] = Counter()
        for folder in self.logs.glob(f"{sink}*"):
            found += lines_in(folder)
        return found

    def report(self, name: str) -> bool:
        """Print the balance; True if no line is lost or repeated."""
        shown = shown_by(self.simulator)
        figures = []
        for sink in SINKS:
            written = self.written[sink]
            lost, repeated = (shown - written).total(), (written - shown).total()
            figures.append(f"{sink} {written.total()} lost {lost} repeated {repeated}")
            if lost or repeated:
                self.complaints.append(f"{sink} is not exact")
        exits = dict(sorted(Counter(self.exits).items(), key=str))
        print(  # noqa: T201
            f"{name}: injected {self.injected}, exits {exits}, shown {shown.total()}; "
            + ", ".join(figures),
            flush=True,
        )
        for complaint in self.complaints:
            print(f"  FAILED {complaint}", flush=True)  # noqa: T201
        return not self.complaints


@asynccontextmanager
async def bench(seed: int) -> AsyncIterator[Bench]:
    clock = StoppableClock(SystemClock())
    simulator = Simulator(load_settings(overrides=world(seed)), clock)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        (folder / "state").mkdir()
        text = config(folder / "logs", folder / "state")
        (folder / "tailer.toml").write_text(
            f"{text}[daemon]\nshutdown_timeout_s = 5\n", encoding="utf-8"
        )
        async with simulator.serving() as url:
            yield Bench(folder, simulator, clock, simulator.credentials(url))


def missing() -> str:
    """Why none of this can be done here; empty when it can."""
    if os.geteuid() != 0:
        return "needs root: it mounts file systems"
    tools = [tool for tool in ("strace", "mkfs.ext4", "e2fsck") if shutil.which(tool) is None]
    return f"needs {', '.join(tools)}" if tools else ""
