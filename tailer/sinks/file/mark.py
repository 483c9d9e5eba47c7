"""What is stored with each commit: the files written last, and their lengths. Pure."""

import hashlib
from typing import Literal

import msgspec

from tailer.errors import SinkError


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """A file whose first `length` bytes are committed.

    No device number: those of many file systems change with every mount. `written_ns` is
    when it was last written to.
    """

    inode: int
    length: int
    written_ns: int


class Mark(msgspec.Struct, frozen=True):
    """The state after a batch. Paths are relative to `base`.

    `files`: at most so many as the sink remembers, the one written last at the end.
    `closed`: files of which closed ones, up to that number, may not be in order yet.
    `sequence` makes each mark differ from the one before. `template` is the path that they
    were made from; empty in marks of a tailer that did not store it.
    """

    base: str
    sequence: int
    files: dict[str, FileState]
    closed: dict[str, int]
    version: Literal[1] = 1
    template: str = ""


def encode_mark(mark: Mark) -> bytes:
    return msgspec.json.encode(mark)


def decode_mark(mark: bytes) -> Mark:
    try:
        return msgspec.json.decode(mark, type=Mark)
    except msgspec.DecodeError as error:
        raise SinkError(
            f"the place of a file sink in the spool cannot be read: {error}",
            hint="it was stored by another version of tailer",
        ) from error


def fingerprint(mark: bytes | None) -> str:
    return hashlib.sha256(mark or b"").hexdigest()
