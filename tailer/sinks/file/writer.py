"""The file sink's work on the disk, in the order that makes it exact. Runs in one thread.

Laws of this file:
1. A write begins when the mark of the one before is stored; that is what the spool promises.
2. A file is touched only when the stored mark, or a note on disk that follows it, tells
   how it stood before.
3. A mark is handed out when all that it speaks of is on disk.
"""

import os
from contextlib import suppress
from pathlib import PurePosixPath

import structlog

from tailer.errors import TransientSinkError
from tailer.model import Batch
from tailer.sinks.file.confinement import Folder, Tree
from tailer.sinks.file.housekeeping import Housekeeper, settle_path
from tailer.sinks.file.journal import Before, UndoJournal
from tailer.sinks.file.mark import FileState, Mark, decode_mark, encode_mark, fingerprint
from tailer.sinks.file.path_template import PathTemplate, safe_component
from tailer.sinks.file.restore import (
    TellGap,
    as_found,
    is_aside,
    is_same,
    restore,
    what_happened,
)
from tailer.sinks.file.rotation import Rotation, closed_name, closed_number, closed_numbers
from tailer.sinks.file.routing import NewFiles, routed
from tailer.sinks.format import Formatter

log = structlog.get_logger()

_MOST_CLOSED = 256  # in a mark; housekeeping takes them in this order, so the others are whole


class FileWriter:
    """Begins at a stored mark; a new one for every start.

    Errors: OSError when the same batch may be written again: what it had changed is turned
    back, at once or, if that fails too, before the next write. SinkError when not.
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
        remembered_files: int,
        tell_gap: TellGap,
    ) -> None:
        self._name = name
        self._template = template
        self._formatter = formatter
        self._tree = tree
        self._rotation = rotation
        self._housekeeper = housekeeper
        self._remembered_files = remembered_files
        self._tell_gap = tell_gap
        self._journal_name = f".tailer-{safe_component(name)}.undo"
        self._journal = UndoJournal(tree, self._journal_name)
        self._mark: bytes | None = None
        self._sequence = 0
        self._in_mark: dict[str, FileState] = {}
        self._files: dict[str, FileState] = {}  # as they stand, the one written last at the end
        self._undo: dict[str, Before] = {}  # of a write that did not end well
        self._just_closed: dict[str, int] = {}
        self._has_note = False
        self._new_files = NewFiles()

    def begin(self, mark: bytes | None) -> None:
        """Turn back whatever happened after `mark`."""
        stored = Mark(self._tree.base, 0, {}, {}) if mark is None else decode_mark(mark)
        there = self._restored(stored, self._tree, mark)
        if stored.base != self._tree.base:  # the configuration has changed since
            self._restored(stored, Tree(self._tree.disk, stored.base), mark)
        self._mark, self._sequence = mark, stored.sequence
        self._has_note = True  # perhaps
        if stored.base == self._tree.base:
            self._files, self._in_mark = there, stored.files
            if self._rotation.wants_housekeeping:
                for path, number in stored.closed.items():
                    self._housekeeper.submit(path, number)

    def _restored(self, stored: Mark, tree: Tree, mark: bytes | None) -> dict[str, FileState]:
        is_its_own = tree.base == stored.base
        before = {path: Before(state) for path, state in stored.files.items() if is_its_own}
        before |= UndoJournal(tree, self._journal_name).read(fingerprint(mark))
        there = restore(tree, before, self._tell_gap)
        for path, number in stored.closed.items() if is_its_own else ():
            settle_path(tree, path, number)
        return there

    def write(self, batch: Batch, *, now_ns: int) -> bytes | None:
        self._turn_back()
        self._after_commit()
        pages = self._pages(batch, now_ns)
        if not pages:
            return self._mark
        before = {path: self._plan(path, len(page), now_ns) for path, page in pages.items()}
        self._note(before)
        self._undo = before
        try:
            written = {
                path: self._append(path, page, before[path], now_ns) for path, page in pages.items()
            }
        except (OSError, TransientSinkError):
            with suppress(OSError):
                self._turn_back()
            raise
        self._undo = {}
        self._new_files.note(batch.target, sum(each.state is None for each in before.values()))
        self._remember(written, before)
        return self._mark

    def forget_replaced(self) -> None:
        """Somebody has put files aside and says so: no gap, the next line begins a new one."""
        for path, state in list(self._files.items()):
            if not is_same(self._look(path), state):
                del self._files[path]

    def _turn_back(self) -> None:
        if self._undo:
            there = restore(self._tree, self._undo, self._tell_gap)
            for path in self._undo:
                self._files.pop(path, None)
            self._files.update(there)
            self._undo = {}

    def _after_commit(self) -> None:
        """The mark handed out last is stored: what it follows can no longer be asked for."""
        for path, number in self._just_closed.items():
            self._housekeeper.submit(path, number)
        self._just_closed = {}

    def _pages(self, batch: Batch, now_ns: int) -> dict[str, bytes]:
        left = self._new_files.left(batch.target, now_ns=now_ns)
        parts = routed(batch, self._template, exists=self._exists, may_begin=left)
        pages = {path: self._formatter(part) for path, part in parts.items()}
        return {path: page for path, page in pages.items() if page}

    def _exists(self, path: str) -> bool:
        return path in self._files or self._look(path) is not None

    def _look(self, path: str) -> os.stat_result | None:
        try:
            with self._tree.folder(path, make=False) as folder:
                return folder.look(PurePosixPath(path).name)
        except FileNotFoundError:
            return None

    def _plan(self, path: str, more_bytes: int, now_ns: int) -> Before:
        """How the file stands, and whether it is to be closed first."""
        name = PurePosixPath(path).name
        with self._tree.folder(path, make=True) as folder:
            state = self._state(folder, path)
            if state is None or not self._rotation.is_due(state, more_bytes, now_ns):
                return Before(state)
            names = (each for each, _ in folder.disk.names(folder.fd))
            pending = self._housekeeper.pending.get(path, 0)
            last = max(closed_numbers(names, name), default=0)
            return Before(state, closed_name(name, max(last, pending) + 1))

    def _state(self, folder: Folder, path: str) -> FileState | None:
        """Of the file as it is, after telling of what somebody else did to it."""
        found = folder.look(PurePosixPath(path).name)
        known = self._files.get(path)
        if known is None:
            return None if found is None else as_found(found)
        if found is not None and is_same(found, known):
            if found.st_size == known.length:
                return known
            if found.st_size < known.length:
                self._tell_gap(path, what_happened(found, known))
            else:
                log.warning("file_grown_by_others", sink=self._name, file=path)
        elif not is_aside(folder, known):
            self._tell_gap(path, what_happened(found, known))
        del self._files[path]
        if found is not None:
            self._files[path] = as_found(found)
        return self._files.get(path)

    def _note(self, before: dict[str, Before]) -> None:
        untold = {
            path: each
            for path, each in before.items()
            if each.closed_as is not None
            or each.state != self._in_mark.get(path)
            or each.state is None
        }
        if untold:
            self._has_note = True
            self._journal.write(fingerprint(self._mark), untold)
        elif self._has_note:
            self._journal.clear()
            self._has_note = False

    def _append(self, path: str, page: bytes, before: Before, now_ns: int) -> FileState:
        name = PurePosixPath(path).name
        begins = before.state is None or before.closed_as is not None
        with self._tree.folder(path, make=True) as folder:
            if before.closed_as is not None:
                folder.disk.rename(name, before.closed_as, folder.fd)
            flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if begins else 0)
            with folder.opened(name, flags) as fd:
                found = os.fstat(fd)
                length = 0 if begins or before.state is None else before.state.length
                if found.st_size != length or not (begins or is_same(found, before.state)):
                    raise TransientSinkError(f"{folder.shown}/{name} is changed by somebody else")
                folder.write(fd, page)
                folder.sync_file(fd, name)
            if begins:
                folder.sync()
        return FileState(found.st_ino, length + len(page), now_ns)

    def _remember(self, written: dict[str, FileState], before: dict[str, Before]) -> None:
        for path, state in written.items():
            self._files.pop(path, None)
            self._files[path] = state
        for path in list(self._files)[: -self._remembered_files]:
            del self._files[path]
        if self._rotation.wants_housekeeping:
            self._just_closed = {
                path: number
                for path, each in before.items()
                if each.closed_as is not None
                and (number := closed_number(each.closed_as, PurePosixPath(path).name))
            }
        self._sequence += 1
        self._in_mark = dict(self._files)
        closed = {**self._housekeeper.pending, **self._just_closed}
        closed = dict(list(closed.items())[:_MOST_CLOSED])
        self._mark = encode_mark(Mark(self._tree.base, self._sequence, self._in_mark, closed))
