"""Follow two hundred executions that live for seconds; compare their lines, each once.

Usage: PYTHONPATH=tests python tests/stress/many_executions.py
           [--seeds 1,2,3] [--ways logs,run] [--at-once 2] [--folder DIR]

They are born within a minute in three resource groups of a live simulator, listed every
ten seconds; some lines come late, some twice, some requests fail.
`logs` is `tailer logs -f -o json` with selectors; `run` is `tailer run` with a file for each
execution, killed by SIGKILL and ended by SIGTERM at random instants, and down each time for
long enough that executions are born and end meanwhile. Exits with 1 when a line is lost or
repeated, or is of something else.
"""

import argparse
import functools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import msgspec
from anyio.abc import Process
from stress.short_executions import GROUPS, SCENARIO, Herd, Line, Shape, herd, line_of, lines_in

from tailer.clock import SystemClock
from tailer.model import Kind, Target

TAILER = (sys.executable, "-m", "tailer")
LONGEST_LIFE_S = 8.0  # in the queue, alive, and rounded up
PATIENCE_S = 60.0  # beyond the time that everything should have taken: backoff
LOOK_S = 0.1  # into the files of another process

_CONFIG = """
[[watch]]
resource_group = {groups}
kind = "execution"
scenario = "{scenario}"
[poll]
lateness_s = {lateness_s}
discovery_interval_s = {look_s}
[spool]
path = "{folder}/state/spool.db"
[status]
listen = ""
[[sink]]
kind = "file"
path = "{folder}/logs/{{resource_group}}/{{id}}.log"
"""


@dataclass(slots=True)
class Outcome:
    """What one way has written, and when the first line of each execution was there."""

    written: Counter[Line] = field(default_factory=Counter)
    first_s: dict[Target, float] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)
    story: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    herd: Herd
    shape: Shape
    environ: dict[str, str]
    folder: Path
    rng: random.Random


async def follow_by_logs(trial: Trial) -> Outcome:
    herd, shape, outcome = trial.herd, trial.shape, Outcome()
    words = ["logs", "-f", "-o", "json", "--lateness", f"{shape.lateness_s}s", "--executions"]
    words += ["--scenario", SCENARIO, *(word for group in GROUPS for word in ("-g", group))]
    with (trial.folder / "stderr").open("wb") as log:
        process = await anyio.open_process(
            [*TAILER, *words], stdin=subprocess.DEVNULL, stderr=log, env=trial.environ
        )
        async with anyio.create_task_group() as reading:
            reading.start_soon(_read, process, herd, outcome)
            await herd.live()
            await _settle(herd, shape, outcome.written.total)
            process.send_signal(signal.SIGTERM)
        outcome.exits.append(await process.wait())
    return outcome


async def _read(process: Process, herd: Herd, outcome: Outcome) -> None:
    rest = b""
    assert process.stdout is not None
    async for piece in process.stdout:
        *lines, rest = (rest + piece).split(b"\n")
        for text in lines:
            line = line_of(msgspec.json.decode(text))
            outcome.written[line] += 1
            target = Target(line[0], Kind.EXECUTION, line[1].partition("/")[2])
            outcome.first_s.setdefault(target, herd.clock.monotonic_s())
    assert not rest, "the last line is torn"


async def follow_by_run(trial: Trial) -> Outcome:
    """Two ends, in the first and in the second half of the births."""
    herd, shape, folder, rng = trial.herd, trial.shape, trial.folder, trial.rng
    outcome = Outcome()
    config = _CONFIG.format(
        groups=msgspec.json.encode(GROUPS).decode(),
        scenario=SCENARIO,
        lateness_s=shape.lateness_s,
        look_s=shape.look_s,
        folder=folder,
    )
    (folder / "logs").mkdir()
    (folder / "state").mkdir()
    (folder / "tailer.toml").write_text(config, encoding="utf-8")
    ends = rng.sample([signal.SIGKILL, signal.SIGTERM], 2)
    clock = herd.clock

    with (folder / "stderr").open("wb") as log:

        async def start() -> Process:
            words = ("run", "--config", str(folder / "tailer.toml"))
            return await anyio.open_process(
                [*TAILER, *words],
                stdin=subprocess.DEVNULL,
                stderr=log,
                stdout=log,
                env=trial.environ,
            )

        async with anyio.create_task_group() as watching:
            watching.start_soon(_watch_files, herd, folder / "logs", outcome)
            began_s = clock.monotonic_s()
            async with anyio.create_task_group() as living:
                living.start_soon(herd.live)
                process = await start()
                for end, (earliest, latest) in zip(ends, ((0.15, 0.4), (0.6, 0.85)), strict=True):
                    at_s = rng.uniform(earliest, latest) * shape.over_s
                    await clock.sleep(max(0.0, began_s + at_s - clock.monotonic_s()))
                    process.send_signal(end)
                    outcome.exits.append(await process.wait())
                    down_s = rng.uniform(*shape.down_s)
                    outcome.story += f"{end.name} at {at_s:.1f} s, down {down_s:.1f} s; "
                    await clock.sleep(down_s)
                    process = await start()
            await _settle(herd, shape, lambda: _count(folder / "logs"))
            process.send_signal(signal.SIGTERM)
            outcome.exits.append(await process.wait())
            watching.cancel_scope.cancel()
    outcome.written = lines_in(folder / "logs")
    return outcome


async def _watch_files(herd: Herd, logs: Path, outcome: Outcome) -> None:
    while True:
        for path in _begun(logs):
            target = Target(path.parent.name, Kind.EXECUTION, path.stem)
            outcome.first_s.setdefault(target, herd.clock.monotonic_s())
        await herd.clock.sleep(LOOK_S)


def _begun(logs: Path) -> list[Path]:
    return [path for path in logs.glob("*/*.log") if path.stat().st_size]


def _count(logs: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in _begun(logs))


async def _settle(herd: Herd, shape: Shape, written: Callable[[], int]) -> None:
    """Until everything should be there, and then for as long as something could be repeated."""
    await herd.clock.sleep(LONGEST_LIFE_S + shape.latest_line_s)
    total = herd.shown.total()
    with anyio.move_on_after(PATIENCE_S + 2 * shape.look_s):
        while written() < total:
            await herd.clock.sleep(LOOK_S)
    await herd.clock.sleep(shape.lateness_s)


WAYS: dict[str, Callable[[Trial], Awaitable[Outcome]]] = {
    "logs": follow_by_logs,
    "run": follow_by_run,
}
GOOD_EXITS = {"logs": [[143]], "run": [[-9, 0, 0], [0, -9, 0]]}


async def balance(way: str, seed: int, shape: Shape, folder: Path) -> bool:
    """Print the balance; True if no line is lost, repeated or foreign."""
    made = herd(seed, shape, SystemClock())
    async with made.simulator.serving() as url:
        environ = {**os.environ, **made.simulator.credentials(url)}
        rng = random.Random(f"{way}/{seed}")
        outcome = await WAYS[way](Trial(made, shape, environ, folder, rng))
    shown, written = made.shown, outcome.written
    lost, repeated = (shown - written).total(), (written - shown).total()
    missed = len(made.born_s.keys() - outcome.first_s.keys())
    is_good = lost == repeated == missed == 0 and outcome.exits in GOOD_EXITS[way]
    stats = made.simulator.stats()
    print(  # noqa: T201
        f"{way}, seed {seed}: {'good' if is_good else 'BAD'}; {outcome.story}"
        f"{len(made.born_s)} executions, {missed} missed; shown {shown.total()}, "
        f"written {written.total()}, lost {lost}, repeated {repeated}; first line "
        f"{_first_lines(made, outcome)}; late {stats['late_lines']}, twins {stats['twins']}, "
        f"faults {sum(stats['faults'].values())}, requests {stats['requests']}, "
        f"exits {outcome.exits}",
        flush=True,
    )
    if not is_good:
        print((folder / "stderr").read_text(encoding="utf-8")[-4000:], flush=True)  # noqa: T201
    return is_good


def _first_lines(made: Herd, outcome: Outcome) -> str:
    """From the creation on, so a queue counts, and a time without a process, too."""
    seconds = sorted(at_s - made.born_s[one] for one, at_s in outcome.first_s.items())
    if not seconds:
        return "never"
    late = seconds[int(len(seconds) * 0.95)]
    return f"{statistics.median(seconds):.1f} s (95 %: {late:.1f} s, all: {seconds[-1]:.1f} s)"


async def herds(ways: list[str], seeds: list[int], shape: Shape, at_once: int, folder: Path) -> int:
    verdicts: list[bool] = []
    limit = anyio.CapacityLimiter(at_once)

    async def one(way: str, seed: int) -> None:
        async with limit:
            place = folder / f"{way}-{seed}"
            place.mkdir(parents=True)
            verdicts.append(await balance(way, seed, shape, place))

    async with anyio.create_task_group() as tasks:
        for seed in seeds:
            for way in ways:
                tasks.start_soon(functools.partial(one, way, seed))
    return 0 if all(verdicts) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--ways", default="logs,run")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--executions", type=int, default=Shape().executions)
    parser.add_argument("--folder", type=Path, help="keeps what they write")
    given = parser.parse_args()
    ways, seeds = given.ways.split(","), [int(seed) for seed in given.seeds.split(",")]
    shape = Shape(executions=given.executions)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        return anyio.run(herds, ways, seeds, shape, given.at_once, folder)


if __name__ == "__main__":
    sys.exit(main())
