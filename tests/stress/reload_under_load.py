"""Reload `tailer run` under load with changed configurations; then compare its files.

Usage: PYTHONPATH=tests python tests/stress/reload_under_load.py
           [--reloads 50] [--seed 1] [--folder DIR]

A live simulator with late lines, twins, bursts and failing requests. Each reload has other
watches (names and selectors) and other sinks; two sinks stay, one of which is changed now
and then. In between come bad files, storms of signals, new service keys, and kills right
after a signal. In the end everything is watched: the sinks that stayed must hold what the
service showed, 0 lost and 0 repeated; the removed sinks must hold no line twice. Exits with
1 when a line is lost or repeated.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from anyio.abc import Process
from stress.live_service import SINKS, lines_in, shown_by, start, world
from support.stoppable_clock import StoppableClock

from tailer.clock import SystemClock
from tailer.simulator import Simulator, load_settings

PATIENCE_S = 60.0
LOOK_S = 0.05
NAMES = (
    "deployment/d0000000000000a1",
    "d0000000000000a2",
    "deployment/d0000000000000a2",
    "execution/e0000000000000e1",
)
SELECTORS = ('kind = "execution"', 'kind = "deployment"', 'id = "a1$"', 'id = ["a2$", "e1$"]')
PASSING = ("passing-1", "passing-2", "passing-3")
ALL = "".join(f"[[watch]]\n{each}\n" for each in SELECTORS[:2])

_FIXED = """
{watches}
[aicore]
service_key_file = "{folder}/key.json"
[poll]
interval_s = 0.2
idle_interval_s = 0.5
lateness_s = {lateness_s}
requests_per_s = 100
discovery_interval_s = 1
[spool]
path = "{folder}/state/spool.db"
[status]
listen = ""
"""
_SINK = """
[[sink]]
kind = "file"
name = "{name}"
path = "{folder}/{name}/{{kind}}/{{id}}.log"
rotate_bytes = {rotate_bytes}
keep_files = 100_000
compress = {compress}
"""


@dataclass(slots=True)
class Reloading:
    """The service, and what is done to it."""

    folder: Path
    environ: dict[str, str]
    log: BinaryIO
    rng: random.Random
    key: dict[str, Any]
    did: Counter[str] = field(default_factory=Counter)
    process: Process | None = None

    async def begin(self) -> None:
        self.process = await start(self.folder, self.environ, self.log)
        await self.reported("started", more_than=self.count("started"))

    def configure(self, watches: str, sinks: str = "", *, lateness_s: float = 20.0) -> None:
        text = _FIXED.format(watches=watches, folder=self.folder, lateness_s=lateness_s)
        text += self.sink("json", compress=True)
        text += self.sink("pods", rotate_bytes=self.rng.choice((40_000, 80_000))) + sinks
        self.write("tailer.toml", text)

    def configure_anything(self) -> None:
        rng = self.rng
        names = rng.sample(NAMES, rng.randrange(len(NAMES) + 1))
        chosen = [f"targets = {json.dumps(names)}"] if names else []
        chosen += rng.sample(SELECTORS, rng.randrange(0 if names else 1, 3))
        watches = "".join(f"[[watch]]\n{each}\n" for each in chosen)
        passing = rng.sample(PASSING, rng.randrange(len(PASSING) + 1))
        sinks = "".join(self.sink(name, compress=rng.random() < 0.5) for name in passing)
        self.configure(watches, sinks, lateness_s=rng.choice((20.0, 20.0, 20.0, 25.0)))

    def sink(self, name: str, *, rotate_bytes: int = 40_000, compress: bool = False) -> str:
        return _SINK.format(
            name=name,
            folder=self.folder,
            rotate_bytes=rotate_bytes,
            compress=str(compress).lower(),
        )

    def write(self, name: str, text: str) -> None:
        new = self.folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.rename(self.folder / name)

    def change_key(self) -> None:
        self.key["clientsecret"] = f"secret-{self.rng.random()}"
        self.write("key.json", json.dumps(self.key))

    def hang_up(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def count(self, *events: str) -> int:
        text = (self.folder / "log.jsonl").read_text(encoding="utf-8")
        return sum(text.count(f'"event": "{event}"') for event in events)

    async def reported(self, *events: str, more_than: int) -> None:
        """Until the service has logged one more of these."""
        with anyio.fail_after(PATIENCE_S):
            while self.count(*events) <= more_than:  # noqa: ASYNC110 - looks at another process
                await anyio.sleep(LOOK_S)  # noqa: TID251

    async def do_something(self) -> None:
        what = self.rng.choices(("reload", "storm", "bad", "key", "kill"), (12, 2, 2, 1, 2))[0]
        self.did[what] += 1
        outcomes = ("reloaded", "reload_rejected")
        before, keys = self.count(*outcomes), self.count("credentials_changed")
        if what == "bad":
            self.configure('[[watch]]\ntargets = "no list"\nkind = 7\n')
            self.hang_up()
            return await self.reported("reload_rejected", more_than=self.count("reload_rejected"))
        self.configure_anything()
        if what == "key":
            self.change_key()
            return await self.reported("credentials_changed", more_than=keys)
        for _ in range(20 if what == "storm" else 1):
            self.hang_up()
        if what == "kill":
            assert self.process is not None
            await anyio.sleep(self.rng.uniform(0, 0.6))  # noqa: TID251
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
            return await self.begin()
        return await self.reported(*outcomes, more_than=before)


async def reloads(count: int, seed: int, folder: Path) -> int:
    rng = random.Random(seed)
    clock = StoppableClock(SystemClock())
    simulator = Simulator(load_settings(overrides=world(seed)), clock)
    async with simulator.serving() as url:
        given = simulator.credentials(url)
        key = {
            "clientid": given["AICORE_CLIENT_ID"],
            "clientsecret": given["AICORE_CLIENT_SECRET"],
            "url": given["AICORE_AUTH_URL"].removesuffix("/oauth/token"),
            "serviceurls": {"AI_API_URL": given["AICORE_BASE_URL"].removesuffix("/v2")},
        }
        with (folder / "log.jsonl").open("wb") as log:
            one = Reloading(folder, {"HOME": str(folder)}, log, rng, key)
            one.change_key()
            one.configure_anything()
            try:
                shown, exit_code = await _play(one, count, simulator, clock)
            finally:
                if one.process is not None and one.process.returncode is None:
                    one.process.kill()
    return _balance(shown, folder, one, exit_code)


async def _play(
    one: Reloading, count: int, simulator: Simulator, clock: StoppableClock
) -> tuple[Counter[tuple[Any, ...]], int]:
    """What was shown in all, and the service's exit code."""
    await one.begin()
    assert one.process is not None
    for _ in range(count):
        await one.do_something()
        await anyio.sleep(one.rng.uniform(0, 1.0))  # noqa: TID251
    before = one.count("reloaded")
    one.configure(ALL)
    one.hang_up()
    await one.reported("reloaded", more_than=before)
    clock.stop()
    shown = shown_by(simulator)
    with anyio.move_on_after(PATIENCE_S):
        while any(  # noqa: ASYNC110 - looks at files of another process
            lines_in_any(one.folder / each).total() < shown.total() for each in SINKS
        ):
            await anyio.sleep(1)  # noqa: TID251
    one.process.send_signal(signal.SIGTERM)
    return shown, await one.process.wait()


def lines_in_any(folder: Path) -> Counter[tuple[Any, ...]]:
    """While files are written and compressed, a look may fail; then it is taken again."""
    try:
        return lines_in(folder)
    except (FileNotFoundError, EOFError, ValueError):
        return Counter()


def _balance(shown: Counter[tuple[Any, ...]], folder: Path, one: Reloading, exit_code: int) -> int:
    is_good = exit_code == 0
    print(  # noqa: T201
        f"{dict(one.did)}; applied {one.count('reloaded')}, refused lines "
        f"{one.count('reload_rejected')}, sinks changed {one.count('sinks_changed')} times, "
        f"watches {one.count('watches_changed')} times; exit {exit_code}; shown {shown.total()}"
    )
    for sink in (*SINKS, *PASSING):
        written = lines_in(folder / sink)
        lost = 0 if sink in PASSING else (shown - written).total()
        repeated = (written - shown).total()
        is_good = is_good and lost == repeated == 0
        print(f"{sink}: written {written.total()}, lost {lost}, repeated {repeated}")  # noqa: T201
    return 0 if is_good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.folder is not None:
        return anyio.run(reloads, given.reloads, given.seed, given.folder)
    with tempfile.TemporaryDirectory() as folder:
        return anyio.run(reloads, given.reloads, given.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
