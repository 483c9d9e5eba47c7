"""Short forms of `make torture`: real processes killed by SIGKILL at random instants."""

from pathlib import Path

import anyio
import pytest
from stress.kill_at_random import torture
from support.long import long_values_after

SEED = 7


@pytest.mark.parametrize("kills", long_values_after(1, [1, 10]))
def test_kills_at_random_instants_lose_and_repeat_nothing(kills: int, tmp_path: Path) -> None:
    assert anyio.run(torture, kills, SEED, tmp_path) == 0
