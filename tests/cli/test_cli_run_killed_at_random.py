"""A short form of `make torture`, with the same world and the same balance at its end."""

from pathlib import Path

import anyio
import pytest
from stress.kill_at_random import torture

KILLS, SEED = 10, 7


@pytest.mark.long
def test_ten_kills_at_random_instants_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert anyio.run(torture, KILLS, SEED, tmp_path) == 0
