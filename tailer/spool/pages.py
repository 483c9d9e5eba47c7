"""A batch as bytes on disk: JSON, as entries are, and compressed, as they repeat. Pure."""

import zlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from tailer.model import Entry, OddEntry

# Level 1: 1.5 million lines/s through SQLite, against 0.15 million for a row a line.
_COMPRESSION_LEVEL = 1


class _Page(Struct, frozen=True, gc=False):
    times_ns: tuple[int, ...]
    entries: tuple[Entry, ...]


class _OddPage(Struct, frozen=True, gc=False):
    times_ns: tuple[int, ...]
    entries: tuple[Raw, ...]


_encoder = msgspec.json.Encoder()
_page = msgspec.json.Decoder(_Page)
_odd_page = msgspec.json.Decoder(_OddPage)
_entry = msgspec.json.Decoder(Entry)
_odd_entry = msgspec.json.Decoder(OddEntry)


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
            odd = _odd_page.decode(text)
            return tuple(_decoded(raw) for raw in odd.entries), odd.times_ns
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged page: {error}") from error
    return page.entries, page.times_ns


def _decoded(raw: Raw) -> Entry:
    try:
        return _entry.decode(raw)
    except msgspec.ValidationError:
        return _odd_entry.decode(raw)
