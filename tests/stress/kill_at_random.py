"""Kill `tailer run` at random instants, again and again; then compare its files line by line.

Usage: PYTHONPATH=tests python tests/stress/kill_at_random.py
           [--kills 300] [--seed 1] [--folder DIR]

A live simulator with late lines, twins, bursts and failing requests; file sinks as JSON and
raw with small files, rotation and compression. Every kill is SIGKILL, after a random time
from the start on. In the end a last run drains everything, and the files must hold what the
service showed: 0 lost, 0 repeated, no torn line. Exits with 1 when they do not.
"""

import argparse
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from stress.live_service import SINKS, config, lines_in, shown_by, start, world
from support.stoppable_clock import StoppableClock

from tailer.clock import SystemClock
from tailer.simulator import Simulator, load_settings

LONGEST_LIFE_S = 1.6
PATIENCE_S = 60.0


async def torture(kills: int, seed: int, folder: Path) -> int:
    rng = random.Random(seed)
    clock = StoppableClock(SystemClock())
    simulator = Simulator(load_settings(overrides=world(seed)), clock)
    (folder / "tailer.toml").write_text(config(folder, folder / "state"), encoding="utf-8")
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
            clock.stop()
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
    for sink in SINKS:
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
