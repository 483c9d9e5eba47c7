"""Cost of listing two thousand workloads to find the twenty running ones.

Usage: PYTHONPATH=tests python tests/stress/cost_of_listing.py
           [--seconds 60] [--listed 2000] [--running 20] [--profile DIR]

A simulator lists the given number of executions; all but the running ones ended a day ago.
`tailer logs -f` and `tailer run`, one after the other, with their default intervals, follow
the running executions. Prints the requests per minute and the share of a processor that they took.
`--profile` makes each command write a profile to that directory, which takes extra time.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
from anyio.abc import Process

from tailer.clock import Clock, SystemClock
from tailer.model import Kind, Status
from tailer.simulator import Simulator, SimulatorSettings, Stage, TargetSettings

DAY_S = 86_400.0
BEGINNING_S = 30.0  # until everything is found and the backlog is read
LINES_PER_S = 2.0  # of each that runs

_CONFIG = """
[[watch]]
kind = "execution"
scenario = "churn"
status = "RUNNING"
[spool]
path = "{folder}/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
path = "{folder}/logs/{{id}}.log"
"""


def world(*, listed: int, running: int) -> SimulatorSettings:
    ended = (
        Stage(at_s=-DAY_S - 600, status=Status.RUNNING),
        Stage(at_s=-DAY_S, status=Status.COMPLETED),
    )
    past = TargetSettings(kind=Kind.EXECUTION, rate_per_s=0.0, life=ended)
    present = TargetSettings(kind=Kind.EXECUTION, rate_per_s=LINES_PER_S)
    targets = (past,) * (listed - running) + (present,) * running
    return SimulatorSettings(targets=targets, backlog_s=60.0)


def cpu_s(pid: int) -> float:
    """User and system time of the process up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    words: list[str], simulator: Simulator, environ: dict[str, str], seconds: float, clock: Clock
) -> int:
    process: Process = await anyio.open_process(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
    )
    await clock.sleep(BEGINNING_S)
    begun_s, asked = cpu_s(process.pid), simulator.requests
    await clock.sleep(seconds)
    used_s, asked = cpu_s(process.pid) - begun_s, simulator.requests - asked
    process.send_signal(signal.SIGTERM)
    code = await process.wait()
    per_minute = {name: round(count * 60 / seconds) for name, count in sorted(asked.items())}
    share = f"{100 * used_s / seconds:.1f} % of a processor"
    print(f"  {share}; requests a minute: {per_minute}", flush=True)  # noqa: T201
    return code


async def compare(seconds: float, listed: int, running: int, profile: Path | None) -> None:
    clock = SystemClock()
    simulator = Simulator(world(listed=listed, running=running), clock)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tailer.toml"
        config.write_text(_CONFIG.format(folder=folder), encoding="utf-8")
        follow = ("logs", "-f", "--executions", "--scenario", "churn", "--status", "RUNNING")
        async with simulator.serving() as url:
            environ = {**os.environ, **simulator.credentials(url)}
            for words in (follow, ("run", "--config", str(config))):
                print(f"tailer {words[0]}: {listed} listed, {running} running", flush=True)  # noqa: T201
                traced = []
                if profile is not None:
                    traced = ["-m", "cProfile", "-o", str(profile / f"{words[0]}.prof")]
                await measure([*traced, "-m", "tailer", *words], simulator, environ, seconds, clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--listed", type=int, default=2000)
    parser.add_argument("--running", type=int, default=20)
    parser.add_argument("--profile", type=Path, help="an existing folder")
    given = parser.parse_args()
    anyio.run(compare, given.seconds, given.listed, given.running, given.profile)


if __name__ == "__main__":
    main()
