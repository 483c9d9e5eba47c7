"""The files written last, as they should stand, and what others did to them meanwhile."""

import os
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import structlog

from tailer.sinks.file.confinement import Folder, Tree
from tailer.sinks.file.mark import FileState
from tailer.sinks.file.restore import TellGap, as_found, is_aside, is_same, what_happened

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
            log.warning("file_grown_by_others", file=f"{self._tree.base}/{path}")
