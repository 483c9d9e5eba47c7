"""Kill `tailer run` at random instants, again and again; then compare its files line by line.

Usage: python tests/torture.py [--kills 300] [--seed 1] [--folder DIR]

A live simulator with late lines, twins, bursts and failing requests; file sinks as JSON and
raw with small files, rotation and compression. Every kill is SIGKILL, after a random time
from the start on. In the end a last run drains everything, and the files must hold what the
service showed: 0 lost, 0 repeated, no torn line. Exits with 1 when they do not.
"""

import argparse
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from tailer.clock import Clock, SystemClock
from tailer.simulator import Simulator, load_settings

FIELDS = ("timestamp", "pod", "container", "stream", "msg")
LONGEST_LIFE_S = 1.6
PATIENCE_S = 60.0

CONFIG = """
[[watch]]
targets = ["deployment/d0000000000000a1", "deployment/d0000000000000a2"]
[[watch]]
targets = ["execution/e0000000000000e1"]
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = 20.0
requests_per_s = 100
[spool]
path = "{folder}/state/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
name = "json"
path = "{folder}/json/{{kind}}/{{id}}.log"
rotate_bytes = 40_000
keep_files = 100_000
[[sink]]
kind = "file"
name = "pods"
path = "{folder}/pods/{{id}}/{{pod}}.log"
rotate_bytes = 40_000
keep_files = 100_000
compress = false
"""


@dataclass(slots=True)
class StoppableClock:
    """The service's time, until it is stopped."""

    real: Clock
    stopped_ns: int | None = None

    def wall_ns(self) -> int:
        return self.real.wall_ns() if self.stopped_ns is None else self.stopped_ns

    def monotonic_s(self) -> float:
        return self.real.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self.real.sleep(seconds)


def world(seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "rate_per_s": 120.0,
        "backlog_s": 5.0,
        "fault_share": 0.05,
        "faults": {"slow_s": 0.3, "retry_after_s": 1},
        "lines": {"late_share": 0.05, "max_lateness_s": 8.0, "twin_share": 0.1},
        "token": {"expires_in_s": 10},
        "target": [
            {"kind": "deployment", "id": "d0000000000000a1", "pods": 3, "weight": 3.0},
            {"kind": "deployment", "id": "d0000000000000a2", "pods": 2},
            {"kind": "execution", "id": "e0000000000000e1", "story": "training"},
        ],
    }


def lines_in(folder: Path) -> Counter[tuple[Any, ...]]:
    """Every line of every file below `folder`; a torn one is a ValueError."""
    found: Counter[tuple[Any, ...]] = Counter()
    for path in sorted(folder.rglob("*.log*")):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if content and not content.endswith(b"\n"):
            raise ValueError(f"{path} ends within a line")
        for text in content.splitlines():
            line = json.loads(text)
            found[line["target"], *(line.get(name) for name in FIELDS)] += 1
    return found


def shown_by(simulator: Simulator) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for target in simulator.targets:
        for entry in simulator.shown(target):
            if isinstance(entry.get("msg"), str):
                entry["msg"] = entry["msg"].removesuffix("\n")
            found[target.name, *(entry.get(name) for name in FIELDS)] += 1
    return found


async def start(folder: Path, environ: dict[str, str], log: Any) -> Process:
    return await anyio.open_process(
        [sys.executable, "-m", "tailer", "run", "--config", str(folder / "tailer.toml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env={**os.environ, **environ},
    )


async def torture(kills: int, seed: int, folder: Path) -> int:
    rng = random.Random(seed)
    clock = StoppableClock(SystemClock())
    simulator = Simulator(load_settings(overrides=world(seed)), clock)
    (folder / "tailer.toml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    exits: Counter[int | None] = Counter()
    async with simulator.serving() as url:
        environ = simulator.credentials(url)
        with (folder / "log.jsonl").open("wb") as log:
            for _ in range(kills):
                process = await start(folder, environ, log)
                with anyio.move_on_after(rng.uniform(0.3, LONGEST_LIFE_S)):
                    await process.wait()
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)
                exits[await process.wait()] += 1
            clock.stopped_ns = clock.real.wall_ns()
            shown = shown_by(simulator)
            process = await start(folder, environ, log)
            with anyio.move_on_after(PATIENCE_S):
                while lines_in(folder / "json").total() < shown.total():  # noqa: ASYNC110
                    await anyio.sleep(1)  # noqa: TID251 - looks at files of another process
            process.send_signal(signal.SIGTERM)
            last_exit = await process.wait()
    return _balance(shown, folder, exits, last_exit, simulator)


def _balance(
    shown: Counter[tuple[Any, ...]],
    folder: Path,
    exits: Counter[int | None],
    last_exit: int,
    simulator: Simulator,
) -> int:
    stats = simulator.stats()
    is_good = last_exit == 0
    print(  # noqa: T201
        f"killed {exits[-signal.SIGKILL]} times (exits {dict(exits)}), last exit {last_exit}; "
        f"shown {shown.total()}, late {stats['late_lines']}, twins {stats['twins']}, "
        f"faults {sum(stats['faults'].values())}"
    )
    for sink in ("json", "pods"):
        written = lines_in(folder / sink)
        lost, repeated = (shown - written).total(), (written - shown).total()
        files = sum(1 for _ in (folder / sink).rglob("*.log*"))
        is_good = is_good and lost == repeated == 0
        print(  # noqa: T201
            f"{sink}: written {written.total()} in {files} files, lost {lost}, repeated {repeated}"
        )
    return 0 if is_good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.folder is not None:
        return anyio.run(torture, given.kills, given.seed, given.folder)
    with tempfile.TemporaryDirectory() as folder:
        return anyio.run(torture, given.kills, given.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
