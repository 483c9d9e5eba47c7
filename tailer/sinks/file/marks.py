"""Committed file state and the undo journal.

What is stored with each commit: the files written last, and their lengths. Pure.

A note to the next start: how files stood that the last mark does not tell of.

Law: it is on disk before any of these files is touched. One note at a time, each in the
place of the one before, which by then is of no use. A torn one fails its checksum and
counts as none: then nothing was touched yet.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

import msgspec

from tailer.errors import SinkError
from tailer.sinks.file.disk import Folder, Tree


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


_CHUNK_BYTES = 1_048_576


class Before(msgspec.Struct, frozen=True, array_like=True):
    """How a file stood before a write; `state` None: there was none.

    `closed_as` is the name that it is about to get, when it is to be closed. `begun` is
    the inode of the file that takes its place, once that is there; it is empty before.
    """

    state: FileState | None
    closed_as: str | None = None
    begun: int | None = None

    @property
    def begins_file(self) -> bool:
        return self.state is None or self.closed_as is not None

    def is_begun(self, found: os.stat_result) -> bool:
        """Whether that file is one which the write began, and nobody else."""
        if self.begun is None:
            return found.st_size == 0
        return found.st_ino == self.begun


class _Note(msgspec.Struct, frozen=True):
    after: str
    files: dict[str, Before]


class UndoJournal:
    """`name` is the file's own, in the tree's base."""

    def __init__(self, tree: Tree, name: str) -> None:
        self._tree = tree
        self._name = name

    def write(self, after: str, files: Mapping[str, Before]) -> None:
        """What to do if the mark with the fingerprint `after` should be the last one."""
        body = msgspec.json.encode(_Note(after, dict(files)))
        with self._tree.folder(self._name, make=True) as folder:
            is_new = folder.look(self._name) is None
            with folder.opened(self._name, os.O_WRONLY | os.O_CREAT) as fd:
                folder.disk.truncate(fd, 0)
                folder.write(fd, _checksum(body) + b"\n" + body)
                folder.sync_file(fd, self._name)
            if is_new:
                folder.sync()

    def read(self, after: str) -> dict[str, Before]:
        """Empty unless there is a note that follows that mark."""
        try:
            with self._tree.folder(self._name, make=False) as folder:
                note = self._note(folder)
        except FileNotFoundError:
            return {}
        checksum, _, body = note.partition(b"\n")
        if checksum != _checksum(body):
            return {}
        try:
            read = msgspec.json.decode(body, type=_Note)
        except msgspec.DecodeError as error:
            raise SinkError(
                f"{self._tree.base}/{self._name} cannot be read: {error}",
                hint="it was written by another version of tailer",
            ) from error
        return read.files if read.after == after else {}

    def _note(self, folder: Folder) -> bytes:
        if folder.look(self._name) is None:
            return b""
        chunks = []
        with folder.opened(self._name, os.O_RDONLY) as fd:
            while chunk := folder.disk.read(fd, _CHUNK_BYTES):
                chunks.append(chunk)
        return b"".join(chunks)

    def clear(self) -> None:
        """Once what it speaks of is committed, or a reset spool would undo that."""
        with (
            suppress(FileNotFoundError),
            self._tree.folder(self._name, make=False) as folder,
            folder.opened(self._name, os.O_WRONLY) as fd,
        ):
            folder.disk.truncate(fd, 0)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
