"""The exactly-once write sequence of the file sink. Runs in one thread.

Laws of this file:
1. A write starts after the mark of the previous write is stored: the spool guarantees that.
2. A file is changed only when its state before the change is in the stored mark, or in a
   journal on disk that follows this mark.
3. A mark is returned when every change that it describes is on disk.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from msgspec.structs import replace

from tailer.errors import TransientSinkError
from tailer.model import Batch
from tailer.sinks.file.disk import Tree
from tailer.sinks.file.marks import (
    Before,
    FileState,
    Mark,
    UndoJournal,
    decode_mark,
    encode_mark,
    fingerprint,
)
from tailer.sinks.file.paths import PathTemplate, Router, safe_component
from tailer.sinks.file.restore import ReportGap, TrackedFiles, is_same, restore
from tailer.sinks.file.rotation import (
    Housekeeper,
    Rotation,
    closed_name,
    closed_number,
    closed_numbers,
    remove_leftovers,
)
from tailer.sinks.formats.build import Formatter

_MAX_CLOSED_IN_MARK = 256  # housekeeping processes them in this order, so the others are whole


class FileWriter:
    """Writes batches after the files are recovered to a stored mark. One per `FileSink.open`.

    Errors: OSError when the same batches may be written again: their changes are rolled back
    at once or, if that fails too, before the next write. SinkError when a retry cannot help.
    """

    def __init__(
        self,
        name: str,
        template: PathTemplate,
        formatter: Formatter,
        *,
        tree: Tree,
        rotation: Rotation,
        housekeeper: Housekeeper,
        tracked_files: int,
        report_gap: ReportGap,
    ) -> None:
        self.mark: bytes | None = None  # the last one returned
        self._template = template
        self._formatter = formatter
        self._tree = tree
        self._rotation = rotation
        self._housekeeper = housekeeper
        self._report_gap = report_gap
        self._journal_name = f".tailer-{safe_component(name)}.undo"
        self._journal = UndoJournal(tree, self._journal_name)
        self._has_journal = False
        self._sequence = 0
        self._in_mark: dict[str, FileState] = {}
        self._tracked = TrackedFiles(tree, report_gap, max_files=tracked_files)
        self._undo: dict[str, Before] = {}  # of a write that failed
        self._just_closed: dict[str, int] = {}
        self._router = Router(template, exists=self._tracked.exists)

    def recover(self, mark: bytes | None, *, now_ns: int) -> None:
        """Roll back all changes after `mark`."""
        stored = self._mark_without_files(now_ns) if mark is None else decode_mark(mark)
        states = self._restored(stored, self._tree, mark)
        self.mark, self._sequence = mark, stored.sequence
        if stored.base != self._tree.base:  # the configuration was changed
            self._restored(stored, Tree(self._tree.disk, stored.base), mark)
        stored_template = stored.template or self._template.text
        has_moved = (stored.base, stored_template) != (self._tree.base, self._template.text)
        if has_moved:  # forget the old files: another sink may write them from now on
            self.mark = encode_mark(self._mark_without_files(stored.sequence))
        elif mark is None:  # an earlier sink of this name may have left a journal
            self.mark = encode_mark(stored)
        self._has_journal = True  # possibly
        if not has_moved:
            self._tracked.replace((), states)
            self._in_mark = stored.files
            if self._rotation.wants_housekeeping:
                for path, number in stored.closed.items():
                    self._housekeeper.submit(path, number)

    def _mark_without_files(self, sequence: int) -> Mark:
        return Mark(self._tree.base, sequence, {}, {}, template=self._template.text)

    def _restored(self, stored: Mark, tree: Tree, mark: bytes | None) -> dict[str, FileState]:
        is_in_mark = tree.base == stored.base
        before = {path: Before(state) for path, state in stored.files.items() if is_in_mark}
        before |= UndoJournal(tree, self._journal_name).read(fingerprint(mark))
        states = restore(tree, before, self._report_gap)
        for path, number in stored.closed.items() if is_in_mark else ():
            with suppress(FileNotFoundError), tree.directory(path, create=False) as directory:
                remove_leftovers(directory, PurePosixPath(path).name, number)
        return states

    def write(self, batches: Sequence[Batch], *, now_ns: int) -> bytes | None:
        """Write all batches or none; each file is written once."""
        self._roll_back()
        self._submit_closed()
        parts, created = self._router.route(batches, now_ns=now_ns)
        pieces: dict[str, list[bytes]] = {}
        for path, part in parts:
            pieces.setdefault(path, []).append(self._formatter(part))
        pages = {path: page for path, each in pieces.items() if (page := b"".join(each))}
        if not pages:
            return self.mark
        before = {path: self._plan(path, len(page), now_ns) for path, page in pages.items()}
        self._write_journal(before)
        self._undo = before
        try:
            self._create_files()
            written = {path: self._append(path, page, now_ns) for path, page in pages.items()}
        except (OSError, TransientSinkError):
            with suppress(OSError):
                self._roll_back()
            raise
        self._undo = {}
        self._router.record(created)
        self._update_mark(written, before)
        return self.mark

    def forget_replaced(self) -> None:
        """Stop tracking files that were moved away: no gap, the next line creates a new file."""
        self._tracked.forget_replaced()

    def _roll_back(self) -> None:
        if self._undo:
            self._tracked.replace(self._undo, restore(self._tree, self._undo, self._report_gap))
            self._undo = {}

    def _submit_closed(self) -> None:
        """The last mark is stored, so the files closed before it are not rolled back any more."""
        for path, number in self._just_closed.items():
            self._housekeeper.submit(path, number)
        self._just_closed = {}

    def _plan(self, path: str, more_bytes: int, now_ns: int) -> Before:
        """The file's present state, and its closed name if it must be rotated first."""
        name = PurePosixPath(path).name
        with self._tree.directory(path, create=True) as directory:
            state = self._tracked.state(directory, path)
            if state is None or not self._rotation.is_due(state, more_bytes, now_ns):
                return Before(state)
            names = (each for each, _ in directory.disk.names(directory.fd))
            last = max(closed_numbers(names, name), default=0)
            pending = self._housekeeper.pending.get(path, 0)  # may be between two names
            return Before(state, closed_name(name, max(last, pending) + 1))

    def _write_journal(self, before: dict[str, Before]) -> None:
        unmarked = {
            path: each
            for path, each in before.items()
            if each.creates_file or each.state != self._in_mark.get(path)
        }
        if unmarked:
            self._has_journal = True
            self._journal.write(fingerprint(self.mark), unmarked)
        elif self._has_journal:
            self._journal.clear()
            self._has_journal = False

    def _create_files(self) -> None:
        """Create empty files, then add their inodes to the journal: a rollback removes them."""
        created = {
            path: replace(each, created=self._create_file(path, each))
            for path, each in self._undo.items()
            if each.creates_file
        }
        if created:
            self._undo = self._undo | created
            self._write_journal(self._undo)

    def _create_file(self, path: str, before: Before) -> int:
        name = PurePosixPath(path).name
        with self._tree.directory(path, create=True) as directory:
            if before.closed_as is not None:
                directory.disk.rename(name, before.closed_as, directory.fd)
            with directory.opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                inode = os.fstat(fd).st_ino
            directory.sync()
        return inode

    def _append(self, path: str, page: bytes, now_ns: int) -> FileState:
        before = self._undo[path]
        state = before.state
        if before.created is not None or state is None:
            state = FileState(before.created or 0, 0, now_ns)
        name = PurePosixPath(path).name
        with (
            self._tree.directory(path, create=True) as directory,
            directory.opened(name, os.O_WRONLY | os.O_APPEND) as fd,
        ):
            found = os.fstat(fd)
            if found.st_size != state.length or not is_same(found, state):
                raise TransientSinkError(f"another process changed {directory.path}/{name}")
            directory.write(fd, page)
            directory.sync_file(fd, name)
        return FileState(state.inode, state.length + len(page), now_ns)

    def _update_mark(self, written: dict[str, FileState], before: dict[str, Before]) -> None:
        self._tracked.replace(written, written)
        self._tracked.forget_oldest()
        if self._rotation.wants_housekeeping:
            self._just_closed = {
                path: number
                for path, each in before.items()
                if each.closed_as is not None
                and (number := closed_number(each.closed_as, PurePosixPath(path).name))
            }
        self._sequence += 1
        self._in_mark = dict(self._tracked.states)
        closed = {**self._housekeeper.pending, **self._just_closed}
        closed = dict(list(closed.items())[:_MAX_CLOSED_IN_MARK])
        mark = self._mark_without_files(self._sequence)
        self.mark = encode_mark(replace(mark, files=self._in_mark, closed=closed))
