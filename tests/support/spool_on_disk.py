"""A spool in a folder, and short ways to put lines in and to take them out."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from support.fakes import TARGET
from support.virtual_time import VirtualClock
from tailer.model import Entry, Target
from tailer.spool.contract import Spool
from tailer.spool.open import OpenedSpool, open_spool


def opening(
    path: Path,
    *,
    sinks: tuple[str, ...] = ("file",),
    max_bytes: int = 10**9,
    droppers: Collection[str] = (),
) -> AbstractAsyncContextManager[OpenedSpool]:
    return open_spool(
        path,
        sinks=sinks,
        max_bytes=max_bytes,
        clock=VirtualClock(),
        droppers=droppers,
    )


async def add(spool: Spool, time_ns: int, *messages: str, target: Target = TARGET) -> None:
    """Lines of one instant, at which the watermark then stands."""
    lines = [Entry(msg=message) for message in messages]
    await spool.append(target, lines, [time_ns] * len(lines), watermark_ns=time_ns)


async def take(spool: Spool, sink: str = "file", mark: bytes | None = None) -> list[object]:
    """Take one batch and commit it."""
    (batch,) = await spool.next_batches(sink, max_lines=1)
    await spool.commit(sink, batch.position, mark)
    return [entry.msg for entry in batch.entries]


async def take_all(spool: Spool, sink: str = "file") -> list[object]:
    """Everything that is in it, after which its input has ended."""
    spool.close_input()
    taken: list[object] = []
    while batches := await spool.next_batches(sink, max_lines=7):
        await spool.commit(sink, batches[-1].position, None)
        taken += [entry.msg for batch in batches for entry in batch.entries]
    return taken


async def remembered(spool: Spool, target: Target = TARGET) -> list[object]:
    return [entry.msg for entry in (await spool.target_position(target, start_ns=0)).entries]
