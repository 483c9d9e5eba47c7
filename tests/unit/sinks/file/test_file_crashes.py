"""The file sink writes each line exactly once, through a crash at any system call."""

import errno
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faulty_disk import CountingDisk, DyingDisk, PlugPulledError, StumblingDisk
from support.file_store import IdleHousekeeper, PromptHousekeeper, Store, batch_for, fast_folder
from support.long import long_values_after

from tailer.errors import SinkError, TransientSinkError
from tailer.model import Batch
from tailer.sinks.file.rotation import Housekeeper
from tailer.sinks.file.writer import FileWriter

# Files that come back after they were forgotten, several at once, each closed at least once;
# of two targets, so that one write of several batches is of both.
BATCHES = [
    batch_for(1, ("a", "one")),
    batch_for(2, ("a", "two"), ("b", "three"), id_="d2"),
    batch_for(3, ("c", "four"), ("a", "five"), ("b", "six")),
    batch_for(4, ("a", "a line longer than any file may be"), id_="d2"),
    batch_for(5, ("c", "seven"), ("d", "eight"), ("a", "nine")),
    batch_for(6, ("a", "ten"), ("b", "eleven"), ("c", "twelve"), id_="d2"),
    batch_for(7, ("b", "one")),
    batch_for(8, ("b", "two"), id_="d2"),
    batch_for(9, ("a", "thirteen")),
]


def small_store(folder: Path, *, compress: bool = True) -> Store:
    return Store(folder, rotate_bytes=12, compress=compress, tracked_files=2)


def calls_of_a_whole_run(at_once: int, housekeeper: type[Housekeeper] = PromptHousekeeper) -> int:
    with fast_folder() as folder:
        store, disk = small_store(folder), CountingDisk()
        store.deliver(store.start(disk, housekeeper), BATCHES, at_once=at_once)
        return disk.calls


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("after", long_values_after(1, [False, True]), ids=["before", "after"])
def test_a_crash_at_any_system_call_loses_and_repeats_nothing(*, after: bool, at_once: int) -> None:
    for at in range(1, calls_of_a_whole_run(at_once) + 1):
        with fast_folder() as folder:
            store = small_store(folder)
            with pytest.raises(PlugPulledError):
                store.deliver(store.start(DyingDisk(at, after=after)), BATCHES, at_once=at_once)

            store.start(housekeeper=IdleHousekeeper)
            assert store.read() == store.truth(BATCHES), f"after the restart, call {at}"
            store.deliver(store.start(), BATCHES, at_once=at_once)
            assert store.read() == store.truth(BATCHES), f"at the end, call {at}"
            assert store.gaps == []


@pytest.mark.parametrize("at_once", long_values_after(1, [1, 2, 3]))
def test_one_failure_at_any_system_call_rolls_the_write_back(at_once: int) -> None:
    """It is undone at once; after a failed sync, of unknown outcome, by the next start."""
    for at in range(1, calls_of_a_whole_run(at_once, IdleHousekeeper) + 1):
        with fast_folder() as folder:
            store, disk = small_store(folder), StumblingDisk(at, errno.EIO)
            writer: FileWriter | None = None
            try:
                writer = store.start(disk, IdleHousekeeper)
                store.deliver(writer, BATCHES, at_once=at_once)
            except (OSError, TransientSinkError):
                assert store.read() == store.truth(BATCHES), f"undone at once, call {at}"
            except SinkError:
                writer = None
            writer = writer or store.start(housekeeper=IdleHousekeeper)

            assert store.read() == store.truth(BATCHES), f"undone by now, call {at}"
            store.deliver(writer, BATCHES, at_once=at_once)
            assert store.read() == store.truth(BATCHES), f"at the end, call {at}"
            assert store.gaps == []


any_batch = st.tuples(
    st.sampled_from(["d1", "d2"]),
    st.lists(st.tuples(st.sampled_from("abc"), st.text("xy", max_size=9)), min_size=1, max_size=4),
)
any_batches = st.lists(any_batch, min_size=1, max_size=12).map(
    lambda all_: [
        batch_for(index, *some, id_=id_) for index, (id_, some) in enumerate(all_, start=1)
    ]
)
any_deaths = st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=6)


@settings(deadline=None)
@given(
    batches=any_batches,
    deaths=any_deaths,
    rotate_bytes=st.integers(0, 30),
    compress=st.booleans(),
    tracked_files=st.integers(1, 3),
    at_once=st.integers(1, 4),
)
def test_repeated_crashes_during_recovery_lose_and_repeat_nothing(
    *,
    batches: list[Batch],
    deaths: list[tuple[int, bool]],
    rotate_bytes: int,
    compress: bool,
    tracked_files: int,
    at_once: int,
) -> None:
    with fast_folder() as folder:
        store = Store(
            folder,
            rotate_bytes=rotate_bytes,
            compress=compress,
            tracked_files=tracked_files,
        )
        for at, after in deaths:
            try:
                store.deliver(store.start(DyingDisk(at, after=after)), batches, at_once=at_once)
            except PlugPulledError:
                continue
        store.deliver(store.start(), batches, at_once=at_once)

        assert store.read() == store.truth(batches)
        assert store.gaps == []


@settings(deadline=None)
@given(any_batches, st.data())
def test_uncommitted_lines_are_truncated_at_the_start(
    batches: list[Batch], data: st.DataObject
) -> None:
    """Text added by another process is cut as well: it looks like an incomplete line."""
    with fast_folder() as folder:
        store = Store(folder, rotate_bytes=20)
        committed = data.draw(st.integers(1, len(batches)))
        store.deliver(store.start(), batches[:committed])
        for path in data.draw(st.lists(st.sampled_from(sorted(store.truth(batches))))):
            with (folder / path).open("ab") as file:
                file.write(b"half a li")
        store.deliver(store.start(), batches)

        assert store.read() == store.truth(batches)
