"""The file sink's work on the disk, in the order that makes it exact. Runs in one thread.

Laws of this file:
1. A write begins when the mark of the one before is stored; that is what the spool promises.
2. A file is touched only when the stored mark, or a note on disk that follows it, tells
   how it stood before.
3. A mark is handed out when all that it speaks of is on disk.
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from msgspec.structs import replace

from tailer.errors import TransientSinkError
from tailer.model import Batch, Target
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
from tailer.sinks.file.paths import NewFiles, PathTemplate, routed, safe_component
from tailer.sinks.file.restore import KnownFiles, TellGap, is_same, restore
from tailer.sinks.file.rotation import (
    Housekeeper,
    Rotation,
    closed_name,
    closed_number,
    closed_numbers,
    settle_path,
)
from tailer.sinks.formats.build import Formatter

_MOST_CLOSED = 256  # in a mark; housekeeping takes them in this order, so the others are whole


class FileWriter:
    """Begins at a stored mark; a new one for every start.

    Errors: OSError when the same batches may be written again: what they had changed is turned
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
        self._template = template
        self._formatter = formatter
        self._tree = tree
        self._rotation = rotation
        self._housekeeper = housekeeper
        self._tell_gap = tell_gap
        self._journal_name = f".tailer-{safe_component(name)}.undo"
        self._journal = UndoJournal(tree, self._journal_name)
        self._mark: bytes | None = None
        self._sequence = 0
        self._in_mark: dict[str, FileState] = {}
        self._known = KnownFiles(tree, tell_gap, most=remembered_files)
        self._undo: dict[str, Before] = {}  # of a write that did not end well
        self._just_closed: dict[str, int] = {}
        self._has_note = False
        self._new_files = NewFiles()

    def begin(self, mark: bytes | None, *, now_ns: int) -> None:
        """Turn back whatever happened after `mark`."""
        stored = self._mark_without_files(now_ns) if mark is None else decode_mark(mark)
        there = self._restored(stored, self._tree, mark)
        self._mark, self._sequence = mark, stored.sequence
        if stored.base != self._tree.base:  # the configuration has changed since
            self._restored(stored, Tree(self._tree.disk, stored.base), mark)
        its_template = stored.template or self._template.text
        has_moved = (stored.base, its_template) != (self._tree.base, self._template.text)
        if has_moved:  # the old files are done with, and may be another sink's tomorrow
            self._mark = encode_mark(self._mark_without_files(stored.sequence))
        elif mark is None:  # a sink of this name may have begun here before, and left a note
            self._mark = encode_mark(stored)
        self._has_note = True  # perhaps
        if not has_moved:
            self._known.put(there, instead_of=())
            self._in_mark = stored.files
            if self._rotation.wants_housekeeping:
                for path, number in stored.closed.items():
                    self._housekeeper.submit(path, number)

    def _mark_without_files(self, sequence: int) -> Mark:
        return Mark(self._tree.base, sequence, {}, {}, template=self._template.text)

    @property
    def mark(self) -> bytes | None:
        """What should be stored by now."""
        return self._mark

    def _restored(self, stored: Mark, tree: Tree, mark: bytes | None) -> dict[str, FileState]:
        is_its_own = tree.base == stored.base
        before = {path: Before(state) for path, state in stored.files.items() if is_its_own}
        before |= UndoJournal(tree, self._journal_name).read(fingerprint(mark))
        there = restore(tree, before, self._tell_gap)
        for path, number in stored.closed.items() if is_its_own else ():
            settle_path(tree, path, number)
        return there

    def write(self, batches: Sequence[Batch], *, now_ns: int) -> bytes | None:
        """All of them or none: each file is written once, with what they have for it together."""
        self._turn_back()
        self._after_commit()
        pages, begun = self._pages(batches, now_ns)
        if not pages:
            return self._mark
        before = {path: self._plan(path, len(page), now_ns) for path, page in pages.items()}
        self._note(before)
        self._undo = before
        try:
            self._begin_files()
            written = {path: self._append(path, page, now_ns) for path, page in pages.items()}
        except (OSError, TransientSinkError):
            with suppress(OSError):
                self._turn_back()
            raise
        self._undo = {}
        for target, count in begun.items():
            self._new_files.note(target, count)
        self._hand_out(written, before)
        return self._mark

    def _pages(
        self, batches: Sequence[Batch], now_ns: int
    ) -> tuple[dict[str, bytes], Counter[Target]]:
        """What is to be added to each file, and how many of these each target begins."""
        pieces: dict[str, list[bytes]] = {}
        begun: Counter[Target] = Counter()
        there: dict[str, bool] = {}

        def exists(path: str) -> bool:
            if path not in there:
                there[path] = self._known.exists(path)
            return there[path]

        for batch in batches:
            left = self._new_files.left(batch.target, now_ns=now_ns) - begun[batch.target]
            parts = routed(batch, self._template, exists=exists, may_begin=left)
            for path, part in parts.items():
                pieces.setdefault(path, []).append(self._formatter(part))
                if not there.get(path, True):
                    begun[batch.target] += 1
                there[path] = True
        pages = {path: b"".join(each) for path, each in pieces.items()}
        return {path: page for path, page in pages.items() if page}, begun

    def forget_replaced(self) -> None:
        """Somebody has put files aside and says so: no gap, the next line begins a new one."""
        self._known.forget_replaced()

    def _turn_back(self) -> None:
        if self._undo:
            there = restore(self._tree, self._undo, self._tell_gap)
            self._known.put(there, instead_of=self._undo)
            self._undo = {}

    def _after_commit(self) -> None:
        """The mark handed out last is stored: what it follows can no longer be asked for."""
        for path, number in self._just_closed.items():
            self._housekeeper.submit(path, number)
        self._just_closed = {}

    def _plan(self, path: str, more_bytes: int, now_ns: int) -> Before:
        """How the file stands, and whether it is to be closed first."""
        name = PurePosixPath(path).name
        with self._tree.folder(path, make=True) as folder:
            state = self._known.state(folder, path)
            if state is None or not self._rotation.is_due(state, more_bytes, now_ns):
                return Before(state)
            names = (each for each, _ in folder.disk.names(folder.fd))
            last = max(closed_numbers(names, name), default=0)
            pending = self._housekeeper.pending.get(path, 0)  # may be between two names
            return Before(state, closed_name(name, max(last, pending) + 1))

    def _note(self, before: dict[str, Before]) -> None:
        untold = {
            path: each
            for path, each in before.items()
            if each.begins_file or each.state != self._in_mark.get(path)
        }
        if untold:
            self._has_note = True
            self._journal.write(fingerprint(self._mark), untold)
        elif self._has_note:
            self._journal.clear()
            self._has_note = False

    def _begin_files(self) -> None:
        """Empty ones, of which the note then says that they are ours to remove."""
        begun = {
            path: replace(each, begun=self._begin_file(path, each))
            for path, each in self._undo.items()
            if each.begins_file
        }
        if begun:
            self._undo = self._undo | begun
            self._note(self._undo)

    def _begin_file(self, path: str, before: Before) -> int:
        name = PurePosixPath(path).name
        with self._tree.folder(path, make=True) as folder:
            if before.closed_as is not None:
                folder.disk.rename(name, before.closed_as, folder.fd)
            with folder.opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                inode = os.fstat(fd).st_ino
            folder.sync()
        return inode

    def _append(self, path: str, page: bytes, now_ns: int) -> FileState:
        before = self._undo[path]
        state = before.state
        if before.begun is not None or state is None:
            state = FileState(before.begun or 0, 0, now_ns)
        name = PurePosixPath(path).name
        with (
            self._tree.folder(path, make=True) as folder,
            folder.opened(name, os.O_WRONLY | os.O_APPEND) as fd,
        ):
            found = os.fstat(fd)
            if found.st_size != state.length or not is_same(found, state):
                raise TransientSinkError(f"{folder.shown}/{name} is changed by somebody else")
            folder.write(fd, page)
            folder.sync_file(fd, name)
        return FileState(state.inode, state.length + len(page), now_ns)

    def _hand_out(self, written: dict[str, FileState], before: dict[str, Before]) -> None:
        """The next mark."""
        self._known.put(written, instead_of=written)
        self._known.forget_oldest()
        if self._rotation.wants_housekeeping:
            self._just_closed = {
                path: number
                for path, each in before.items()
                if each.closed_as is not None
                and (number := closed_number(each.closed_as, PurePosixPath(path).name))
            }
        self._sequence += 1
        self._in_mark = dict(self._known.states)
        closed = {**self._housekeeper.pending, **self._just_closed}
        closed = dict(list(closed.items())[:_MOST_CLOSED])
        mark = self._mark_without_files(self._sequence)
        self._mark = encode_mark(replace(mark, files=self._in_mark, closed=closed))
