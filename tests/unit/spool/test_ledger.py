import time

from support.fakes import TARGET

from tailer.spool.contract import SinkPosition
from tailer.spool.ledger import Item, Ledger


def test_a_long_backlog_does_not_slow_each_batch_down() -> None:
    ledger = Ledger({"file": SinkPosition(0, None)})
    ledger.move(TARGET, 0)
    began_s = time.process_time()
    for position in range(1, 20_001):
        ledger.add(Item(position, TARGET, position, size=1, lines=1))
        ledger.move(TARGET, position)
    for position in range(1, 20_001):
        ledger.acknowledge("file", position, None)

    assert ledger.undelivered_bytes == 0
    assert time.process_time() - began_s < 5  # it was 21 s when each step looked at the whole


def test_only_batches_at_or_after_the_watermark_are_kept() -> None:
    ledger = Ledger({"file": SinkPosition(0, None)})
    for position in (1, 2, 3):
        ledger.add(Item(position, TARGET, position * 10, size=1, lines=1))
    ledger.move(TARGET, 20)

    assert list(ledger.kept(TARGET)) == [2, 3]


def test_a_lagging_sink_reads_only_the_batches_that_it_gets() -> None:
    ledger = Ledger({"file": SinkPosition(0, None)})
    for position in range(1, 20_001):
        ledger.add(Item(position, TARGET, position, size=1, lines=1))
    began_s = time.process_time()
    for position in range(1, 20_001):
        assert ledger.next_positions("file", max_lines=1) == [position]
        ledger.acknowledge("file", position, None)

    assert time.process_time() - began_s < 5


def test_very_long_lines_are_split_into_several_reads() -> None:
    ledger = Ledger({"file": SinkPosition(0, None)})
    for position in range(1, 101):
        ledger.add(Item(position, TARGET, position, size=5_000_000, lines=1))

    assert ledger.next_positions("file", max_lines=5000) == [1, 2, 3]
