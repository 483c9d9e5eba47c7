"""A real process with a file sink, killed by SIGKILL."""

import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from support import file_victim
from support.file_store import Store, read_files

COUNT = 400
KILLS = 12


def killed_after(folder: Path, lines: int) -> list[str]:
    """What the process said until it died, at whatever it was doing just then."""
    with subprocess.Popen(
        [sys.executable, file_victim.__file__, str(folder), str(COUNT)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        output = list(islice(process.stdout, lines))
        process.kill()
    return output


@pytest.mark.parametrize("seed", [1])
def test_each_line_is_in_the_files_once_after_many_kills(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    output = []
    for _ in range(KILLS):
        output += killed_after(tmp_path, chance.randrange(1, 30))
    output += killed_after(tmp_path, COUNT + 1)

    store = Store(tmp_path / "logs")
    store.position = COUNT
    assert read_files(tmp_path / "logs") == store.truth(file_victim.batches(COUNT))
    assert [each for each in output if each.startswith("gap")] == []
