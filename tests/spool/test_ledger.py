import time

from fakes import TARGET

from tailer.spool.ledger import Item, Ledger


def test_a_long_backlog_costs_each_batch_little() -> None:
    ledger = Ledger({"file": 0})
    ledger.move(TARGET, 0)
    began_s = time.process_time()
    for position in range(1, 20_001):
        ledger.add(Item(position, TARGET, position, 1))
        ledger.move(TARGET, position)
    for position in range(1, 20_001):
        ledger.take("file", position)

    assert ledger.undelivered_bytes == 0
    assert time.process_time() - began_s < 5  # it was 21 s when each step looked at the whole


def test_only_batches_with_lines_at_or_after_the_watermark_are_to_be_remembered() -> None:
    ledger = Ledger({"file": 0})
    for position in (1, 2, 3):
        ledger.add(Item(position, TARGET, position * 10, 1))
    ledger.move(TARGET, 20)

    assert list(ledger.kept(TARGET)) == [2, 3]
