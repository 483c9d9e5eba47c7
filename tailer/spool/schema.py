"""Tables, statements, migrations, page encoding.

A batch as bytes on disk: JSON, as entries are, and compressed, as they repeat. Pure.

The spool's tables, and the few statements that there are. In the database's thread.

Long, because every statement is here: what is stored is understood from one file.
"""

import sqlite3
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct

from tailer.model import Batch, Entry, ExtendedEntry, Kind, Target
from tailer.spool.contract import SinkPosition
from tailer.spool.ledger import Item, Ledger

# Level 1: 1.5 million lines/s through SQLite, against 0.15 million for a row a line.
_COMPRESSION_LEVEL = 1


class _Page(Struct, frozen=True, gc=False):
    times_ns: tuple[int, ...]
    entries: tuple[Entry, ...]


class _ExtendedPage(Struct, frozen=True, gc=False):
    times_ns: tuple[int, ...]
    entries: tuple[Raw, ...]


_encoder = msgspec.json.Encoder()
_page = msgspec.json.Decoder(_Page)
_extended_page = msgspec.json.Decoder(_ExtendedPage)
_entry = msgspec.json.Decoder(Entry)
_extended_entry = msgspec.json.Decoder(ExtendedEntry)


def pack(entries: Sequence[Entry], times_ns: Sequence[int]) -> bytes:
    page = _encoder.encode({"times_ns": times_ns, "entries": entries})
    return zlib.compress(page, _COMPRESSION_LEVEL)


def unpack(blob: bytes) -> tuple[tuple[Entry, ...], tuple[int, ...]]:
    """What was packed: the same entries, and their times.

    Raises:
        ValueError: These bytes were not packed here, or are damaged.
    """
    try:
        text = zlib.decompress(blob)
        try:
            page = _page.decode(text)
        except msgspec.ValidationError:  # an entry with more in it than this version knows
            odd = _extended_page.decode(text)
            return tuple(_decoded(raw) for raw in odd.entries), odd.times_ns
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged page: {error}") from error
    return page.entries, page.times_ns


def _decoded(raw: Raw) -> Entry:
    try:
        return _entry.decode(raw)
    except msgspec.ValidationError:
        return _extended_entry.decode(raw)


VERSION = 2
_AFTER_A_LOSS = 0x6C6F7374  # the application_id of a spool until the loss before it is told

_TABLES = """
CREATE TABLE target (
    resource_group TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    watermark_ns INTEGER NOT NULL,
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource_group, kind, id)
) WITHOUT ROWID;
CREATE TABLE batch (
    position INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, or a sink would skip one
    resource_group TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    newest_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    page BLOB NOT NULL
);
CREATE TABLE sink (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    mark BLOB
) WITHOUT ROWID;
"""
_LOOKS = """
CREATE TABLE look (
    resource_group TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (resource_group, kind)
) WITHOUT ROWID;
"""
_FROM_1_TO_2 = f"ALTER TABLE target ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;{_LOOKS}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database holds, as the spool needs it in memory."""

    ledger: Ledger
    places: dict[str, SinkPosition]
    abandoned: dict[str, int]  # sinks that are gone, each with the batches it had still to take


def create(connection: sqlite3.Connection, *, after_a_loss: bool) -> None:
    note = f"PRAGMA application_id = {_AFTER_A_LOSS};" if after_a_loss else ""
    connection.executescript(
        f"BEGIN;{_TABLES}{_LOOKS}{note}PRAGMA user_version = {VERSION};COMMIT;"
    )


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """From an older `version` to this one, or, when it is cut short, not at all."""
    if version == 1:
        connection.executescript(
            f"BEGIN IMMEDIATE;{_FROM_1_TO_2}PRAGMA user_version = {VERSION};COMMIT;"
        )


def comes_after_a_loss(connection: sqlite3.Connection) -> bool:
    """Whether a spool was lost before this one, and nothing is stored in this one yet."""
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == _AFTER_A_LOSS)


def forget_the_loss(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 0")


def load(connection: sqlite3.Connection, *, sinks: Sequence[str]) -> Stored:
    """Everything but the lines. A sink that is new begins behind what is there.

    A sink that is gone is forgotten: nothing waits for it any more.

    Raises:
        ValueError: A stored page is damaged.
    """
    known = connection.execute("SELECT name, position, mark FROM sink").fetchall()
    after_all = _after_all(connection)
    places = {name: SinkPosition(after_all, None) for name in sinks}
    places |= {
        name: SinkPosition(position, mark) for name, position, mark in known if name in places
    }
    ledger = Ledger({name: place.position for name, place in places.items()})
    gone: list[int] = []
    positions: list[int] = []
    rows = connection.execute(
        "SELECT position, resource_group, kind, id, newest_ns, size, page "
        "FROM batch ORDER BY position"
    )
    for position, group, kind, id_, newest_ns, size, page in rows:
        entries, _ = unpack(page)
        positions.append(position)
        target = Target(group, Kind(kind), id_)
        # Since when it waits was not stored: when its lines were said is near enough.
        ledger.add(Item(position, target, newest_ns, size, len(entries), since_ns=newest_ns))
    rows = connection.execute("SELECT resource_group, kind, id, watermark_ns, retired FROM target")
    for group, kind, id_, watermark_ns, is_retired in rows:
        target = Target(group, Kind(kind), id_)
        gone += ledger.move(target, watermark_ns)
        gone += ledger.retire(target) if is_retired else ()
    for group, kind, at_ns in connection.execute("SELECT resource_group, kind, at_ns FROM look"):
        ledger.record_listing(group, Kind(kind), at_ns=at_ns, starts={}, forgotten=())
    connection.execute("BEGIN IMMEDIATE")
    deleting(gone)(connection)
    connection.execute("DELETE FROM sink")
    connection.executemany(
        "INSERT INTO sink VALUES (?, ?, ?)",
        [(name, place.position, place.mark) for name, place in places.items()],
    )
    connection.execute("COMMIT")
    abandoned = {
        name: sum(position > taken for position in positions)
        for name, taken, _ in known
        if name not in places
    }
    return Stored(ledger, places, {name: count for name, count in abandoned.items() if count})


def appending(
    target: Target,
    entries: Sequence[Entry],
    times_ns: Sequence[int],
    *,
    watermark_ns: int,
    size: int,
) -> Callable[[sqlite3.Connection], int | None]:
    """Store lines and watermark; gives the position of the lines, None when there are none."""

    def work(connection: sqlite3.Connection) -> int | None:
        name = _name(target)
        connection.execute(
            "INSERT INTO target (resource_group, kind, id, watermark_ns) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET watermark_ns = excluded.watermark_ns",
            (*name, watermark_ns),
        )
        if not entries:
            return None
        return connection.execute(
            "INSERT INTO batch (resource_group, kind, id, newest_ns, size, page) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (*name, max(times_ns), size, pack(entries, times_ns)),
        ).lastrowid

    return work


def retiring(target: Target, *, watermark_ns: int) -> Callable[[sqlite3.Connection], object]:
    def work(connection: sqlite3.Connection) -> object:
        return connection.execute(
            "INSERT INTO target VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE "
            "SET watermark_ns = max(watermark_ns, excluded.watermark_ns), retired = 1",
            (*_name(target), watermark_ns),
        )

    return work


def recording_listing(
    resource_group: str,
    kind: Kind,
    *,
    at_ns: int,
    starts: Mapping[Target, int],
    forgotten: Collection[Target],
) -> Callable[[sqlite3.Connection], object]:
    def work(connection: sqlite3.Connection) -> object:
        connection.executemany(
            "INSERT INTO target VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET retired = 0",
            [(*_name(target), start_ns) for target, start_ns in starts.items()],
        )
        connection.executemany(
            "DELETE FROM target WHERE resource_group = ? AND kind = ? AND id = ?",
            map(_name, forgotten),
        )
        return connection.execute(
            "INSERT OR REPLACE INTO look VALUES (?, ?, ?)", (resource_group, str(kind), at_ns)
        )

    return work


def _name(target: Target) -> tuple[str, str, str]:
    return (target.resource_group, str(target.kind), target.id)


def taking(sink: str, position: int, mark: bytes | None) -> Callable[[sqlite3.Connection], object]:
    def work(connection: sqlite3.Connection) -> object:
        return connection.execute(
            "UPDATE sink SET position = max(position, ?), mark = ? WHERE name = ?",
            (position, mark, sink),
        )

    return work


def changing_sinks(
    *, gone: Collection[str], new: Collection[str]
) -> Callable[[sqlite3.Connection], int]:
    """Forget some, and have others begin behind what is there: that position."""

    def work(connection: sqlite3.Connection) -> int:
        position = _after_all(connection)
        connection.executemany("DELETE FROM sink WHERE name = ?", [(name,) for name in gone])
        connection.executemany(
            "INSERT INTO sink VALUES (?, ?, NULL)", [(name, position) for name in new]
        )
        return position

    return work


def _after_all(connection: sqlite3.Connection) -> int:
    """The last position that was ever given to a batch."""
    last = connection.execute("SELECT max(position) FROM batch").fetchone()[0]
    sequence = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
    return max(last or 0, sequence[0] if sequence is not None else 0)


def passing_over(sink: str, position: int) -> Callable[[sqlite3.Connection], object]:
    """`sink` goes without everything up to `position`. Its mark stays: it alone may move that."""

    def work(connection: sqlite3.Connection) -> object:
        return connection.execute(
            "UPDATE sink SET position = max(position, ?) WHERE name = ?", (position, sink)
        )

    return work


def deleting(positions: Sequence[int]) -> Callable[[sqlite3.Connection], object]:
    def work(connection: sqlite3.Connection) -> object:
        return connection.executemany(
            "DELETE FROM batch WHERE position = ?", [(position,) for position in positions]
        )

    return work


def reading(positions: Sequence[int]) -> Callable[[sqlite3.Connection], list[Batch]]:
    """The batches, without those that are deleted."""

    def work(connection: sqlite3.Connection) -> list[Batch]:
        found = []
        for position in positions:
            row = connection.execute(
                "SELECT resource_group, kind, id, page FROM batch WHERE position = ?", (position,)
            ).fetchone()
            if row is not None:
                group, kind, id_, page = row
                found.append(Batch(position, Target(group, Kind(kind), id_), *unpack(page)))
        return found

    return work
