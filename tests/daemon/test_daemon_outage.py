"""A sink that fails during load: other sinks are not delayed, and it catches up exactly."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.daemon_bench import FIRST, POLL, configured
from support.long import long_values_after
from support.steady_service import SteadyService
from support.virtual_time import VirtualClock

from tailer.aicore.credentials import find_credentials
from tailer.config import Config, SpoolSection, StatusSection, Watch
from tailer.daemon.daemon import run_daemon
from tailer.daemon.reload import Setup
from tailer.errors import TransientSinkError
from tailer.health.health import Health
from tailer.model import Batch
from tailer.timestamp import NS_PER_S

OUTAGE_FROM_S, WITH_LINES_AFTER_S, DRAIN_S = 10, 10, 40
LINES_PER_S = 1000
QUICK = replace(POLL, edge_s=1, lateness_s=8)  # few lines are read again: a quick test
# The lines of the ten minutes' outage would take far more than 200 MB of memory.
BOUND_BYTES = 100 * 1024 * 1024


@dataclass(slots=True)
class CountingSink:
    """Keeps no line: checks that each is the next one, and notes how late it came."""

    name: str
    clock: VirtualClock
    is_down: Callable[[float], bool] = lambda _: False
    lines: int = 0
    is_exact: bool = True
    longest_lag_s: float = 0.0
    resident_bytes: list[int] = field(default_factory=list)

    async def open(self, mark: bytes | None) -> bytes | None:
        return mark

    async def write(self, batches: Sequence[Batch]) -> bytes | None:
        if self.is_down(self.clock.monotonic_s()):
            raise TransientSinkError("the receiver is down")
        messages = [entry.msg for batch in batches for entry in batch.entries]
        expected = [f"{number}\n" for number in range(self.lines, self.lines + len(messages))]
        self.is_exact = self.is_exact and messages == expected
        self.lines += len(messages)
        lag_s = (self.clock.wall_ns() - batches[0].times_ns[0]) / NS_PER_S
        self.longest_lag_s = max(self.longest_lag_s, lag_s)
        self.resident_bytes.append(_resident_bytes())
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("outage_s", long_values_after(1, [15, 600]))
async def test_a_failed_sink_does_not_delay_another_and_catches_up_exactly(
    tmp_path: Path, clock: VirtualClock, outage_s: int
) -> None:
    outage = range(OUTAGE_FROM_S, OUTAGE_FROM_S + outage_s)
    with_lines_s = outage.stop + WITH_LINES_AFTER_S
    lines = with_lines_s * LINES_PER_S
    healthy = CountingSink("healthy", clock)
    failing = CountingSink("failing", clock, is_down=lambda now_s: int(now_s) in outage)
    service = SteadyService(clock, until_s=with_lines_s)

    async with service.serving() as url:
        await run_daemon(
            Setup(
                config=Config(
                    watches=(Watch(targets=(FIRST,)),),
                    poll=QUICK,
                    spool=SpoolSection(path=tmp_path / "spool.db"),
                    status=StatusSection(listen=""),
                ),
                credentials=find_credentials(service.credentials(url), home=tmp_path),
                sinks=(configured(healthy), configured(failing)),
            ),
            clock=clock,
            rng=random.Random(1),
            environ={},
            stop=lambda: clock.sleep(with_lines_s + DRAIN_S),
            health=Health(),
        )

    assert (healthy.lines, failing.lines) == (lines, lines)
    assert healthy.is_exact
    assert failing.is_exact
    assert healthy.longest_lag_s <= QUICK.pace.interval_s
    grown_bytes = max(healthy.resident_bytes) - min(healthy.resident_bytes)
    assert grown_bytes < BOUND_BYTES
