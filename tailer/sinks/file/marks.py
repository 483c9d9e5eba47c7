"""Marks and the undo journal: the file states that a rollback needs.

A mark is stored in the spool with each commit. The journal is a file in the sink's base
directory, with the state of each file that the last mark does not have.

Law: the journal is on disk before any of its files is changed. A new journal replaces the
previous one, which is obsolete by then. A torn journal fails its checksum and is ignored: no
file was changed yet.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

import msgspec

from tailer.errors import SinkError
from tailer.sinks.file.disk import Tree

_CHUNK_BYTES = 1_048_576


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """A file with `length` committed bytes, last written at `written_ns`.

    No device number: on many file systems it changes with every mount.
    """

    inode: int
    length: int
    written_ns: int


class Mark(msgspec.Struct, frozen=True):
    """The state after a batch. Paths are relative to `base`.

    `files`: the tracked files, the most recently written last.
    `closed`: paths whose closed files, up to that number, may still need housekeeping.
    `sequence` makes each mark differ from the previous one. `template` is the path template;
    empty in marks of a tailer that did not store it.
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
            f"the mark of a file sink in the spool cannot be decoded: {error}",
            hint="another version of tailer stored it",
        ) from error


def fingerprint(mark: bytes | None) -> str:
    return hashlib.sha256(mark or b"").hexdigest()


class Before(msgspec.Struct, frozen=True, array_like=True):
    """A file's state before a write; `state` None: the file did not exist.

    `closed_as` is its new name if the write closes it. `created` is the inode of the file
    that replaces it, once that exists; that file is empty until then.
    """

    state: FileState | None
    closed_as: str | None = None
    created: int | None = None

    @property
    def creates_file(self) -> bool:
        return self.state is None or self.closed_as is not None

    def is_created(self, found: os.stat_result) -> bool:
        """Whether this write created the file."""
        if self.created is None:
            return found.st_size == 0
        return found.st_ino == self.created


class _Journal(msgspec.Struct, frozen=True):
    after: str
    files: dict[str, Before]


class UndoJournal:
    """The journal file `name` in the base directory of `tree`."""

    def __init__(self, tree: Tree, name: str) -> None:
        self._tree = tree
        self._name = name

    def write(self, after: str, files: Mapping[str, Before]) -> None:
        """Store `files` for a rollback to the mark with the fingerprint `after`."""
        body = msgspec.json.encode(_Journal(after, dict(files)))
        with self._tree.directory(self._name, create=True) as directory:
            is_new = directory.status(self._name) is None
            with directory.opened(self._name, os.O_WRONLY | os.O_CREAT) as fd:
                directory.disk.truncate(fd, 0)
                directory.write(fd, _checksum(body) + b"\n" + body)
                directory.sync_file(fd, self._name)
            if is_new:
                directory.sync()

    def read(self, after: str) -> dict[str, Before]:
        """The stored files; empty unless the journal follows that mark."""
        checksum, _, body = self._contents().partition(b"\n")
        if checksum != _checksum(body):
            return {}
        try:
            journal = msgspec.json.decode(body, type=_Journal)
        except msgspec.DecodeError as error:
            raise SinkError(
                f"the undo journal {self._tree.base}/{self._name} cannot be decoded: {error}",
                hint="another version of tailer wrote it",
            ) from error
        return journal.files if journal.after == after else {}

    def _contents(self) -> bytes:
        chunks = []
        with (
            suppress(FileNotFoundError),
            self._tree.directory(self._name, create=False) as directory,
        ):
            if directory.status(self._name) is not None:
                with directory.opened(self._name, os.O_RDONLY) as fd:
                    while chunk := directory.disk.read(fd, _CHUNK_BYTES):
                        chunks.append(chunk)
        return b"".join(chunks)

    def clear(self) -> None:
        """Empty the journal after its changes are committed: a reset spool would undo them."""
        with (
            suppress(FileNotFoundError),
            self._tree.directory(self._name, create=False) as directory,
            directory.opened(self._name, os.O_WRONLY) as fd,
        ):
            directory.disk.truncate(fd, 0)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
