"""Roll back to a mark; detect outside changes.

Back to how files stood: after a kill, and after a write that failed.

Every step may itself be cut short; starting over then gives the same.

The files written last, as they should stand, and what others did to them meanwhile.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

import structlog

from tailer.sinks.file.disk import Folder, Tree
from tailer.sinks.file.marks import Before, FileState

TellGap = Callable[[str, str], None]
"""Takes the path, and what has happened to the file there."""


def restore(tree: Tree, files: Mapping[str, Before], tell_gap: TellGap) -> dict[str, FileState]:
    """The files that are there now, each as it was or, if somebody else changed it, as it is."""
    there: dict[str, FileState] = {}
    for path, before in files.items():
        state = None
        try:
            with tree.folder(path, make=False) as folder:
                state = _restored(folder, path, before, tell_gap)
        except FileNotFoundError:
            if before.state is not None:
                tell_gap(path, "its folder is gone")
        if state is not None:
            there[path] = state
    return there


def _restored(folder: Folder, path: str, before: Before, tell_gap: TellGap) -> FileState | None:
    name = PurePosixPath(path).name
    state = before.state
    found = folder.look(name)
    if state is None:
        if found is not None and before.is_begun(found):
            folder.remove(name)
            found = None
        return None if found is None else as_found(found)
    if before.closed_as is not None and (found is None or before.is_begun(found)):
        found = _reopened(folder, name, before.closed_as, state) or found
    if found is None or not is_same(found, state):
        if not is_aside(folder, state):
            tell_gap(path, what_happened(found, state))
        return None if found is None else as_found(found)
    if found.st_size < state.length:
        tell_gap(path, what_happened(found, state))
        return as_found(found)
    if found.st_size > state.length:
        folder.cut(name, state.length)
    return state


def is_same(found: os.stat_result | None, state: FileState | None) -> bool:
    return found is not None and state is not None and found.st_ino == state.inode


def as_found(found: os.stat_result) -> FileState:
    return FileState(found.st_ino, found.st_size, found.st_mtime_ns)


def _reopened(folder: Folder, name: str, closed_as: str, state: FileState) -> os.stat_result | None:
    """Undo the closing, which also removes the file begun in its place."""
    closed = folder.look(closed_as)
    if not is_same(closed, state):
        return None
    folder.disk.rename(closed_as, name, folder.fd)
    folder.sync()
    return closed


def is_aside(folder: Folder, state: FileState) -> bool:
    """Whether the file is whole under another name, as logrotate leaves it.

    Not proof enough to cut it: inodes are used again, and it may be another file.
    """
    name = folder.name_of(state.inode)
    found = None if name is None else folder.look(name)
    return found is not None and found.st_size >= state.length


def what_happened(found: os.stat_result | None, state: FileState) -> str:
    if found is None:
        return "was deleted"
    if not is_same(found, state):
        return "was replaced by another file"
    return f"had {state.length} bytes and has {found.st_size} now"


log = structlog.get_logger()


class KnownFiles:
    """`states` has the file written last at its end."""

    def __init__(self, tree: Tree, tell_gap: TellGap, *, most: int) -> None:
        self.states: dict[str, FileState] = {}
        self._tree = tree
        self._tell_gap = tell_gap
        self._most = most

    def put(self, states: Mapping[str, FileState], *, instead_of: Iterable[str]) -> None:
        for path in instead_of:
            self.states.pop(path, None)
        self.states.update(states)

    def forget_oldest(self) -> None:
        for path in list(self.states)[: -self._most]:
            del self.states[path]

    def forget_replaced(self) -> None:
        for path, state in list(self.states.items()):
            if not is_same(self._look(path), state):
                del self.states[path]

    def exists(self, path: str) -> bool:
        return path in self.states or self._look(path) is not None

    def _look(self, path: str) -> os.stat_result | None:
        try:
            with self._tree.folder(path, make=False) as folder:
                return folder.look(PurePosixPath(path).name)
        except FileNotFoundError:
            return None

    def state(self, folder: Folder, path: str) -> FileState | None:
        """Of the file as it is, after telling of what somebody else did to it."""
        found = folder.look(PurePosixPath(path).name)
        known = self.states.pop(path, None)
        if known is not None:
            self._compare(folder, path, found, known)
        if found is None:
            return None
        as_known = known is not None and is_same(found, known) and found.st_size == known.length
        state = known if known is not None and as_known else as_found(found)
        self.states[path] = state
        return state

    def _compare(
        self, folder: Folder, path: str, found: os.stat_result | None, known: FileState
    ) -> None:
        if found is None or not is_same(found, known):
            if not is_aside(folder, known):
                self._tell_gap(path, what_happened(found, known))
        elif found.st_size < known.length:
            self._tell_gap(path, what_happened(found, known))
        elif found.st_size > known.length:
            log.warning("file_modified_externally", file=f"{self._tree.base}/{path}")
