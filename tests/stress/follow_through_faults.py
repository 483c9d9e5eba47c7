"""Follow a faulty service for a minute of real time in real processes, and compare lines.

Usage: PYTHONPATH=tests python tests/stress/follow_through_faults.py
           [--seconds 60] [--seeds 1,2,3,4,5,6,7,8,9,10] [--at-once 5]

Three targets, 200 lines/s in all: 5 % late by up to 10 s, 10 % twins, one burst of 7,000
lines within a millisecond, tokens that expire every 10 s, 15 % of the requests failing in
every way that the simulator knows. What `tailer logs -f -o json` printed must be, as a
multiset, what the service showed. Exits with 1 when it is not.
"""

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from support.stoppable_clock import StoppableClock

from tailer.clock import SystemClock
from tailer.simulator import Simulator, load_settings

FIELDS = ("timestamp", "pod", "container", "stream", "msg")
PATIENCE_S = 60.0  # after the service fell silent: a whole sweep, and backoff before it


def world(seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "rate_per_s": 200.0,
        "backlog_s": 0.0,
        "fault_share": 0.15,
        "lines": {"late_share": 0.05, "max_lateness_s": 10.0, "twin_share": 0.1},
        "token": {"expires_in_s": 10},
        "burst": [{"at_s": 20.0, "lines": 7000, "target_id": "d0000000000000a1"}],
        "target": [
            {"kind": "deployment", "id": "d0000000000000a1", "pods": 3, "weight": 3.0},
            {"kind": "deployment", "id": "d0000000000000a2", "pods": 2},
            {"kind": "execution", "id": "e0000000000000e1", "story": "training"},
        ],
    }


def lines(path: Path) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    with path.open(encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            found[line["target"], *(line.get(name) for name in FIELDS)] += 1
    return found


def without_newline(entry: dict[str, Any]) -> tuple[Any, ...]:
    message = entry.get("msg")
    if isinstance(message, str):
        entry = {**entry, "msg": message.removesuffix("\n")}
    return tuple(entry.get(name) for name in FIELDS)


async def follow(seed: int, seconds: float, folder: Path, verdicts: list[str]) -> None:
    clock = StoppableClock(SystemClock())
    simulator = Simulator(load_settings(overrides=world(seed)), clock)
    printed_path = folder / f"{seed}.jsonl"
    async with simulator.serving() as url:
        names = [target.name for target in simulator.targets]
        command = [sys.executable, "-m", "tailer", "logs", "-f", "-o", "json", "--since", "1m"]
        with printed_path.open("wb") as out, (folder / f"{seed}.err").open("wb") as err:
            process = await anyio.open_process(
                [*command, *names],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **simulator.credentials(url)},
            )
            await anyio.sleep(seconds)  # noqa: TID251 - the length of the soak
            clock.stop()
            shown = Counter(
                (target.name, *without_newline(entry))
                for target in simulator.targets
                for entry in simulator.shown(target)
            )
            with anyio.move_on_after(PATIENCE_S):
                while printed_path.read_bytes().count(b"\n") < shown.total():  # noqa: ASYNC110
                    await anyio.sleep(0.5)  # noqa: TID251 - looks at a file of another process
            process.send_signal(signal.SIGTERM)
            code = await process.wait()
    printed = lines(printed_path)
    lost, repeated = (shown - printed).total(), (printed - shown).total()
    stats = simulator.stats()
    good = lost == repeated == 0 and code == 143
    verdicts.append("good" if good else "BAD")
    print(  # noqa: T201
        f"seed {seed}: {verdicts[-1]}; shown {shown.total()}, printed {printed.total()}, "
        f"lost {lost}, repeated {repeated}, late {stats['late_lines']}, twins {stats['twins']}, "
        f"faults {sum(stats['faults'].values())}, exit {code}",
        flush=True,
    )


async def soak(seeds: list[int], seconds: float, at_once: int) -> int:
    verdicts: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        limit = anyio.CapacityLimiter(at_once)

        async def one(seed: int) -> None:
            async with limit:
                await follow(seed, seconds, Path(folder), verdicts)

        async with anyio.create_task_group() as tasks:
            for seed in seeds:
                tasks.start_soon(functools.partial(one, seed))
    return 0 if verdicts == ["good"] * len(seeds) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", default="1,2,3,4,5,6,7,8,9,10")
    parser.add_argument("--at-once", type=int, default=5)
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    return anyio.run(soak, seeds, given.seconds, given.at_once)


if __name__ == "__main__":
    sys.exit(main())
