"""Inject disk failures of every kind under `tailer run`; then compare line by line.

Usage: PYTHONPATH=tests python tests/stress/break_the_disk.py
           [--seed 1] [SCENARIO …]

System calls fail through strace; disks are small file systems that are filled, made
read-only, or found broken by the kernel. In the end the cause is gone, and the files must
hold what the service showed: 0 lost, 0 repeated. On the way the service may end with exit
code 5 and a reason, never otherwise. Exits with 1 when one scenario failed. Needs root.
"""

import argparse
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from stress.disk_fault_bench import Bench, bench, missing
from stress.small_disks import breakable_disk, small_disk

LIVES = 6  # runs with a fault, in each scenario


def moments(rng: random.Random, upto: int) -> str:
    """Which calls fail, as strace counts them in each thread: one, some or all from then on."""
    first = rng.randint(1, upto)
    return f"{first}{rng.choice(['', '', f'+{rng.randint(2, 9)}', '+'])}"


async def eio_fdatasync(world: Bench, rng: random.Random) -> None:
    """Nothing comes to disk. Every such run ends by itself, as what the disk holds is unknown."""
    for _ in range(LIVES):
        when = moments(rng, 60)
        await world.live_injected(6.0, "fdatasync,fsync", f"error=EIO:when={when}")
    await world.finish()


async def eio_write(world: Bench, rng: random.Random) -> None:
    """Log files and notes of the file sink: it backs off, and cuts back."""
    ids = ("deployment/d0000000000000a1", "deployment/d0000000000000a2")
    files = [world.logs / "json" / f"{each}.log" for each in ids]
    notes = [world.logs / "json" / ".tailer-json.undo", world.logs / "pods" / ".tailer-pods.undo"]
    for _ in range(LIVES):
        calls, upto = rng.choice([("write", 25), ("write", 8), ("ftruncate", 5)])
        error = rng.choice(["EIO", "EDQUOT"])
        inject = f"error={error}:when={moments(rng, upto)}"
        await world.live_injected(6.0, calls, inject, *files, *notes)
    await world.finish()


async def eio_database(world: Bench, rng: random.Random) -> None:
    """Reads, writes and syncs of the spool: exit 5, and the next start knows its place."""
    names = ("spool.db", "spool.db-wal", "spool.db-shm")
    calls = ("pwrite64", "fdatasync,fsync", "pread64", "pwrite64", "ftruncate", "pread64,pwrite64")
    for each in rng.sample(calls, LIVES):
        inject = f"error=EIO:when={moments(rng, 40)}"
        await world.live_injected(5.0, each, inject, *(world.state / name for name in names))
    await world.finish()


async def enospc(world: Bench, rng: random.Random, folder: Path, events: tuple[str, str]) -> None:
    """Full and free again, thrice under way; then full at the end and at the start of a run."""
    begun, over = events
    with small_disk(folder, megabytes=24) as disk:
        running = await world.begin()
        for _ in range(3):
            await world.pause(rng.uniform(2.0, 4.0))
            times = world.output().count(begun) + 1
            disk.fill()
            world.injected += 1
            await world.hears(begun, times=times)
            await world.pause(rng.uniform(0.0, 4.0))
            disk.free()
            await world.hears(over, times=times)
        disk.fill()
        world.injected += 1
        await world.pause(rng.uniform(0.0, 3.0))
        if await world.end(running) != 0:
            world.complain("a full disk is no reason to end otherwise than with 0")
        await world.live(4.0)
        disk.free()
        await world.finish()


async def enospc_logs(world: Bench, rng: random.Random) -> None:
    await enospc(world, rng, world.logs, ("sink_retrying", "sink_recovered"))


async def enospc_spool(world: Bench, rng: random.Random) -> None:
    await enospc(world, rng, world.state, ("spool_write_blocked", "spool_recovered"))


async def readonly_logs(world: Bench, rng: random.Random) -> None:
    """Thrice under way and once at a start; it must go on without another start."""
    with small_disk(world.logs, megabytes=24) as disk:
        running = await world.begin()
        for _ in range(4):
            await world.pause(rng.uniform(2.0, 4.0))
            times = world.output().count("sink_retrying") + 1
            recovered = world.output().count("sink_recovered") + 1
            while not disk.remount("ro"):
                await world.pause(0.01)
            world.injected += 1
            await world.hears("sink_retrying", times=times)
            await world.pause(rng.uniform(0.0, 4.0))
            if not disk.remount("rw"):
                world.complain("cannot be made writable again")
            await world.hears("sink_recovered", times=recovered)
        disk.remount("ro")
        await world.end(running)
        running = await world.begin()
        await world.hears("sink_retrying")
        disk.remount("rw")
        await world.finish(running)


async def readonly_spool(world: Bench, rng: random.Random) -> None:
    """The kernel refuses a remount while the spool is open, so its writes are refused instead."""
    with small_disk(world.state, megabytes=24) as disk:
        for _ in range(3):
            paths = [world.state / name for name in ("spool.db", "spool.db-wal")]
            inject = f"error=EROFS:when={rng.randint(1, 80)}+"
            await world.live_injected(8.0, "pwrite64,ftruncate", inject, *paths)
            if not disk.remount("ro"):
                world.complain("a process still has the spool open")
            world.injected += 1
            if await world.live(8.0) != 5:
                world.complain("a spool that cannot be written must be the end")
            disk.remount("rw")
        await world.finish()


async def emergency_spool(world: Bench, rng: random.Random) -> None:
    """The kernel finds an error in the file system and makes it read-only under the open spool."""
    with breakable_disk(world.folder / "image", world.state, megabytes=32) as disk:
        for _ in range(3):
            running = await world.begin()
            await world.pause(rng.uniform(2.0, 5.0))
            disk.find_an_error()
            world.injected += 1
            with anyio.move_on_after(20):
                await running.wait()
            if await world.end(running) != 5:
                world.complain("a spool that cannot be written must be the end")
            if await world.live(8.0) != 5:
                world.complain("nor may it be opened")
            disk.repair()
        await world.finish()


async def emergency_logs(world: Bench, rng: random.Random) -> None:
    """The same with the log files. It backs off, or ends if struck between write and sync."""
    with breakable_disk(world.folder / "image", world.logs, megabytes=32) as disk:
        for _ in range(3):
            running = await world.begin()
            await world.pause(rng.uniform(2.0, 5.0))
            disk.find_an_error()
            world.injected += 1
            await world.hears("sink_retrying", unless_ended=running)
            await world.end(running)
            disk.repair()
        await world.finish()


async def logs_folder_vanishes(world: Bench, rng: random.Random) -> None:
    """Moved away in a pause of the service: said as a gap, and both parts together are exact."""
    running = await world.begin()
    for number in range(3):
        await world.pause(rng.uniform(2.0, 4.0))
        (world.logs / "json").rename(world.logs / f"json.moved{number}")
        world.injected += 1
    await world.hears("was deleted")
    await world.finish(running)


SCENARIOS: dict[str, Callable[[Bench, random.Random], Awaitable[None]]] = {
    "eio-fdatasync": eio_fdatasync,
    "eio-write": eio_write,
    "eio-database": eio_database,
    "enospc-logs": enospc_logs,
    "enospc-spool": enospc_spool,
    "readonly-logs": readonly_logs,
    "readonly-spool": readonly_spool,
    "emergency-spool": emergency_spool,
    "emergency-logs": emergency_logs,
    "logs-folder-vanishes": logs_folder_vanishes,
}


async def run_scenario(name: str, seed: int) -> bool:
    rng = random.Random(f"{name} {seed}")
    async with bench(seed) as world:
        await SCENARIOS[name](world, rng)
        return world.report(f"{name} (seed {seed})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO")
    given = parser.parse_args()
    why_not = missing()
    if why_not:
        print(f"skipped: {why_not}")  # noqa: T201
        return 0
    outcomes = [anyio.run(run_scenario, name, given.seed) for name in given.scenarios or SCENARIOS]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
