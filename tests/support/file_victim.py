"""A process to be killed: writes made-up batches to a file sink, and commits some at a time.

Usage: python file_victim.py FOLDER BATCHES

Says the position on stdout after each commit.
"""

import json
import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.file_store import batch_for
from tailer.clock import SystemClock
from tailer.model import Batch
from tailer.sinks.file.sink import FileSink
from tailer.sinks.formats.structured import format_raw

TEMPLATE = "logs/{id}/{pod}.log"


def batches(count: int) -> list[Batch]:
    """Twins among them; the lines say nothing about their place, so order must be kept."""
    return [
        batch_for(
            position,
            *[(f"pod-{(position + index) % 3}", "x" * (position % 7)) for index in range(40)],
            ("pod-0", f"batch {position}"),
            id_=f"d{position % 2}",
        )
        for position in range(1, count + 1)
    ]


def committed(folder: Path) -> tuple[int, bytes | None]:
    try:
        position, mark = json.loads((folder / "place.json").read_text())
    except FileNotFoundError:
        return 0, None
    return position, mark.encode()


def commit(folder: Path, position: int, mark: bytes | None) -> None:
    unfinished = folder / "place.tmp"
    unfinished.write_text(json.dumps([position, (mark or b"").decode()]))
    unfinished.replace(folder / "place.json")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(folder: Path, count: int) -> None:
    position, mark = committed(folder)
    sink = FileSink(
        f"{folder}/{TEMPLATE}",
        format_raw,
        name="victim",
        clock=SystemClock(),
        on_gap=lambda *gap: say(f"gap {gap}"),
        rotate_bytes=1500,
        compress=True,
        tracked_files=3,
    )
    await sink.open(mark)
    made_up = batches(count)
    while some := made_up[position : position + 1 + position % 3]:
        mark = await sink.write(some)
        position = some[-1].position
        commit(folder, position, mark)
        say(str(position))
    await sink.aclose()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
