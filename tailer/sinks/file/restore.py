"""Roll files back to a mark; detect changes by other processes.

Each step of a rollback may be interrupted: a second rollback has the same result.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

import structlog

from tailer.sinks.file.disk import Directory, Tree
from tailer.sinks.file.marks import Before, FileState

log = structlog.get_logger()

ReportGap = Callable[[str, str], None]
"""Takes the path, and what happened to the file."""


def restore(tree: Tree, files: Mapping[str, Before], report_gap: ReportGap) -> dict[str, FileState]:
    """Roll back `files`; the states of the files that exist then.

    A file that another process changed is reported, and stays as it is.
    """
    states: dict[str, FileState] = {}
    for path, before in files.items():
        try:
            with tree.directory(path, create=False) as directory:
                state = _restored(directory, path, before, report_gap)
        except FileNotFoundError:
            if before.state is not None:
                report_gap(path, "its directory was deleted")
            continue
        if state is not None:
            states[path] = state
    return states


def _restored(
    directory: Directory, path: str, before: Before, report_gap: ReportGap
) -> FileState | None:
    name = PurePosixPath(path).name
    state = before.state
    found = directory.status(name)
    if state is None:
        if found is not None and before.is_created(found):
            directory.remove(name)
            found = None
        return None if found is None else _state_of(found)
    if before.closed_as is not None and (found is None or before.is_created(found)):
        found = _reopened(directory, name, before.closed_as, state) or found
    _report_loss(directory, path, found, state, report_gap)
    if found is None:
        return None
    if not is_same(found, state) or found.st_size < state.length:
        return _state_of(found)
    if found.st_size > state.length:
        directory.cut(name, state.length)
    return state


def _reopened(
    directory: Directory, name: str, closed_as: str, state: FileState
) -> os.stat_result | None:
    """Undo the closing, which also removes the file that was created in its place."""
    closed = directory.status(closed_as)
    if not is_same(closed, state):
        return None
    directory.disk.rename(closed_as, name, directory.fd)
    directory.sync()
    return closed


def is_same(found: os.stat_result | None, state: FileState) -> bool:
    return found is not None and found.st_ino == state.inode


def _state_of(found: os.stat_result) -> FileState:
    return FileState(found.st_ino, found.st_size, found.st_mtime_ns)


def _report_loss(
    directory: Directory,
    path: str,
    found: os.stat_result | None,
    state: FileState,
    report_gap: ReportGap,
) -> None:
    """Report a deleted, replaced or truncated file, but not a file that was moved aside."""
    if found is not None and is_same(found, state):
        if found.st_size < state.length:
            report_gap(path, f"had {state.length} bytes and has {found.st_size} now")
    elif not _is_moved_aside(directory, state):
        report_gap(path, "was deleted" if found is None else "was replaced by another file")


def _is_moved_aside(directory: Directory, state: FileState) -> bool:
    """Whether the whole file has another name in its directory, as after logrotate.

    That is no reason to cut it: inodes are reused, and it may be another file.
    """
    name = directory.name_of(state.inode)
    found = None if name is None else directory.status(name)
    return found is not None and found.st_size >= state.length


class TrackedFiles:
    """The expected states of the files written last, the most recently written last."""

    def __init__(self, tree: Tree, report_gap: ReportGap, *, max_files: int) -> None:
        self.states: dict[str, FileState] = {}
        self._tree = tree
        self._report_gap = report_gap
        self._max_files = max_files

    def replace(self, paths: Iterable[str], states: Mapping[str, FileState]) -> None:
        for path in paths:
            self.states.pop(path, None)
        self.states.update(states)

    def forget_oldest(self) -> None:
        for path in list(self.states)[: -self._max_files]:
            del self.states[path]

    def forget_replaced(self) -> None:
        for path, state in list(self.states.items()):
            if not is_same(self._status(path), state):
                del self.states[path]

    def exists(self, path: str) -> bool:
        return path in self.states or self._status(path) is not None

    def _status(self, path: str) -> os.stat_result | None:
        try:
            with self._tree.directory(path, create=False) as directory:
                return directory.status(PurePosixPath(path).name)
        except FileNotFoundError:
            return None

    def state(self, directory: Directory, path: str) -> FileState | None:
        """The file's present state, after changes by other processes are reported."""
        found = directory.status(PurePosixPath(path).name)
        expected = self.states.pop(path, None)
        if expected is not None:
            _report_loss(directory, path, found, expected, self._report_gap)
        if found is None:
            return None
        state = _state_of(found)
        if expected is not None and is_same(found, expected):
            if found.st_size == expected.length:
                state = expected
            elif found.st_size > expected.length:
                log.warning("file_modified_externally", file=f"{self._tree.base}/{path}")
        self.states[path] = state
        return state
