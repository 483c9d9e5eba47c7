"""A short form of `make herd`: executions that live for seconds, found by selectors."""

from pathlib import Path

import anyio
import pytest
from stress.many_executions import WAYS, balance
from stress.short_executions import Shape

SEED = 7
SHAPE = Shape(
    executions=30, over_s=8.0, look_s=2.0, lateness_s=5.0, latest_line_s=2.0, down_s=(2.0, 3.0)
)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_every_line_of_short_executions_is_printed_once(way: str, tmp_path: Path) -> None:
    assert anyio.run(balance, way, SEED, SHAPE, tmp_path)
