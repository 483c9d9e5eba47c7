import time

from support.virtual_time import START_NS, VirtualClock


async def test_an_hour_passes_at_once(clock: VirtualClock) -> None:
    began_s = time.perf_counter()

    await clock.sleep(3600)

    assert clock.wall_ns() == START_NS + 3600 * 10**9
    assert time.perf_counter() - began_s < 5
