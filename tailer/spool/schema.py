"""The spool database: tables, migrations, statements, page encoding. Runs in the database thread.

Long, because all SQL is here: one file shows everything that is stored.
"""

import sqlite3
import zlib
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Raw, Struct

from tailer.model import Batch, Entry, ExtendedEntry, Kind, Target
from tailer.spool.contract import SinkPosition
from tailer.spool.ledger import Item, Ledger
from tailer.spool.targets import Listing

VERSION = 3
# The application_id of a spool that replaces a damaged one, until its first transaction.
_REPLACES_DAMAGED = 0x6C6F7374

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
    position INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: a sink would skip the batch
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
_LISTING_TABLE = """
CREATE TABLE listing (
    resource_group TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (resource_group, kind)
) WITHOUT ROWID;
"""
# Statements that bring an older version directly to VERSION.
_MIGRATIONS = {
    1: f"ALTER TABLE target ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;{_LISTING_TABLE}",
    2: "ALTER TABLE look RENAME TO listing;",
}


def create(db: sqlite3.Connection, *, replaces_damaged: bool) -> None:
    mark = f"PRAGMA application_id = {_REPLACES_DAMAGED};" if replaces_damaged else ""
    db.executescript(
        f"BEGIN;{_TABLES}{_LISTING_TABLE}{mark}PRAGMA user_version = {VERSION};COMMIT;"
    )


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Migrate an older `version` to this one, in one transaction."""
    if version in _MIGRATIONS:
        db.executescript(
            f"BEGIN IMMEDIATE;{_MIGRATIONS[version]}PRAGMA user_version = {VERSION};COMMIT;"
        )


def replaces_damaged(db: sqlite3.Connection) -> bool:
    """Whether this spool replaces a damaged one, and no transaction is stored in it yet."""
    return bool(db.execute("PRAGMA application_id").fetchone()[0] == _REPLACES_DAMAGED)


def clear_replaces_damaged(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA application_id = 0")


def load(db: sqlite3.Connection, *, sinks: Sequence[str]) -> tuple[Ledger, dict[str, int]]:
    """Read everything but the lines. A new sink starts after the last stored batch.

    A sink that is no longer configured is forgotten. These sinks are returned, too, each with
    the number of batches that it had not acknowledged.

    Raises:
        ValueError: A stored page is damaged.
    """
    rows = db.execute("SELECT name, position, mark FROM sink")
    stored = {name: SinkPosition(position, mark) for name, position, mark in rows}
    new = SinkPosition(_last_position(db), None)
    ledger = Ledger({name: stored.get(name, new) for name in sinks})
    deletable: list[int] = []
    positions: list[int] = []
    rows = db.execute(
        "SELECT position, resource_group, kind, id, newest_ns, size, page "
        "FROM batch ORDER BY position"
    )
    for position, group, kind, id_, newest_ns, size, page in rows:
        entries, _ = unpack(page)
        positions.append(position)
        target = Target(group, Kind(kind), id_)
        # The time of the append is not stored: the time of the newest line is close enough.
        ledger.add(Item(position, target, newest_ns, size, len(entries), since_ns=newest_ns))
    rows = db.execute("SELECT resource_group, kind, id, watermark_ns, retired FROM target")
    for group, kind, id_, watermark_ns, is_retired in rows:
        target = Target(group, Kind(kind), id_)
        deletable += ledger.move(target, watermark_ns)
        deletable += ledger.retire(target) if is_retired else ()
    for group, kind, at_ns in db.execute("SELECT resource_group, kind, at_ns FROM listing"):
        ledger.record_listing(Listing(group, Kind(kind), at_ns, starts={}))
    db.execute("BEGIN IMMEDIATE")
    delete(db, deletable)
    db.execute("DELETE FROM sink")
    db.executemany(
        "INSERT INTO sink VALUES (?, ?, ?)",
        [(name, each.position, each.mark) for name, each in ledger.sinks.items()],
    )
    db.execute("COMMIT")
    abandoned = {
        name: sum(position > each.position for position in positions)
        for name, each in stored.items()
        if name not in ledger.sinks
    }
    return ledger, {name: count for name, count in abandoned.items() if count}


def append(
    db: sqlite3.Connection,
    target: Target,
    entries: Sequence[Entry],
    times_ns: Sequence[int],
    *,
    watermark_ns: int,
    size: int,
) -> int | None:
    """Store lines and watermark; returns the position of the batch, None without lines."""
    db.execute(
        "INSERT INTO target (resource_group, kind, id, watermark_ns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET watermark_ns = excluded.watermark_ns",
        (*_key(target), watermark_ns),
    )
    if not entries:
        return None
    return db.execute(
        "INSERT INTO batch (resource_group, kind, id, newest_ns, size, page) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*_key(target), max(times_ns), size, pack(entries, times_ns)),
    ).lastrowid


def retire(db: sqlite3.Connection, target: Target, watermark_ns: int) -> None:
    db.execute(
        "INSERT INTO target VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE "
        "SET watermark_ns = max(watermark_ns, excluded.watermark_ns), retired = 1",
        (*_key(target), watermark_ns),
    )


def record_listing(db: sqlite3.Connection, listing: Listing) -> None:
    """`forgettable` targets are deleted without further checks."""
    db.executemany(
        "INSERT INTO target VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET retired = 0",
        [(*_key(target), start_ns) for target, start_ns in listing.starts.items()],
    )
    db.executemany(
        "DELETE FROM target WHERE resource_group = ? AND kind = ? AND id = ?",
        map(_key, listing.forgettable),
    )
    db.execute(
        "INSERT OR REPLACE INTO listing VALUES (?, ?, ?)",
        (listing.resource_group, str(listing.kind), listing.at_ns),
    )


def _key(target: Target) -> tuple[str, str, str]:
    return (target.resource_group, str(target.kind), target.id)


def acknowledge(db: sqlite3.Connection, sink: str, position: int, mark: bytes | None) -> None:
    db.execute(
        "UPDATE sink SET position = max(position, ?), mark = ? WHERE name = ?",
        (position, mark, sink),
    )


def skip(db: sqlite3.Connection, sink: str, position: int) -> None:
    """Skip every batch up to `position`. The mark is the sink's, and stays."""
    db.execute("UPDATE sink SET position = max(position, ?) WHERE name = ?", (position, sink))


def change_sinks(db: sqlite3.Connection, *, gone: Collection[str], new: Collection[str]) -> int:
    """Delete sinks, add others; returns the position at which the new ones start."""
    position = _last_position(db)
    db.executemany("DELETE FROM sink WHERE name = ?", [(name,) for name in gone])
    db.executemany("INSERT INTO sink VALUES (?, ?, NULL)", [(name, position) for name in new])
    return position


def _last_position(db: sqlite3.Connection) -> int:
    """The last position that was ever given to a batch."""
    last = db.execute("SELECT max(position) FROM batch").fetchone()[0]
    sequence = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
    return max(last or 0, sequence[0] if sequence is not None else 0)


def delete(db: sqlite3.Connection, positions: Sequence[int]) -> None:
    db.executemany("DELETE FROM batch WHERE position = ?", [(position,) for position in positions])


def read(db: sqlite3.Connection, positions: Sequence[int]) -> list[Batch]:
    """The batches at `positions`; deleted ones are left out."""
    found = []
    for position in positions:
        row = db.execute(
            "SELECT resource_group, kind, id, page FROM batch WHERE position = ?", (position,)
        ).fetchone()
        if row is not None:
            group, kind, id_, page = row
            found.append(Batch(position, Target(group, Kind(kind), id_), *unpack(page)))
    return found


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
    """Compressed JSON: entries arrive as JSON, and repeat much of their text."""
    page = _encoder.encode({"times_ns": times_ns, "entries": entries})
    return zlib.compress(page, _COMPRESSION_LEVEL)


def unpack(blob: bytes) -> tuple[tuple[Entry, ...], tuple[int, ...]]:
    """The packed entries and their times.

    Raises:
        ValueError: `blob` is damaged, or not a page.
    """
    try:
        text = zlib.decompress(blob)
        try:
            page = _page.decode(text)
        except msgspec.ValidationError:  # an entry has fields that Entry does not have
            extended = _extended_page.decode(text)
            return tuple(_decoded(raw) for raw in extended.entries), extended.times_ns
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged page: {error}") from error
    return page.entries, page.times_ns


def _decoded(raw: Raw) -> Entry:
    try:
        return _entry.decode(raw)
    except msgspec.ValidationError:
        return _extended_entry.decode(raw)
