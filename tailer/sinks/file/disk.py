"""System calls below one base directory, without following symbolic links.

Paths are walked one directory at a time, relative to an open directory, so that no link leads
out of the base. The base itself belongs to the operator, and may be reached through links.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tailer.errors import SinkError, TransientSinkError

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe must not block.
_FILE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_FILE_MODE = 0o640  # the umask may remove more
_DIRECTORY_MODE = 0o750


class Disk:
    """The system calls, one method each, so that tests can make any of them fail.

    Every method raises OSError as its system call does. `os.close` is called directly.
    """

    read = staticmethod(os.read)
    write = staticmethod(os.write)
    truncate = staticmethod(os.ftruncate)
    sync_directory = staticmethod(os.fsync)

    def open_base(self, path: str) -> int:
        return os.open(path, _DIRECTORY_FLAGS)

    def open_directory(self, name: str, parent: int) -> int:
        return os.open(name, _DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=parent)

    def make_directory(self, name: str, parent: int | None) -> None:
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)

    def open_file(self, name: str, flags: int, directory: int) -> int:
        return os.open(name, flags | _FILE_FLAGS, _FILE_MODE, dir_fd=directory)

    def status(self, name: str, directory: int) -> os.stat_result:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def names(self, directory: int) -> list[tuple[str, int]]:
        """Names and inodes of all entries."""
        with os.scandir(directory) as found:
            return [(each.name, each.inode()) for each in found]

    def rename(self, name: str, to: str, directory: int) -> None:
        os.rename(name, to, src_dir_fd=directory, dst_dir_fd=directory)

    def unlink(self, name: str, directory: int) -> None:
        os.unlink(name, dir_fd=directory)

    def sync_file(self, fd: int) -> None:
        os.fdatasync(fd)


THE_DISK = Disk()

# A retry does not solve these. Any other error, a full disk or a lost mount, may be temporary.
_PERMANENT = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG})
HINTS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "raise the quota, or make room",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "tailer's user needs the right to write there",
    errno.EPERM: "tailer's user needs the right to write there",
    errno.EMFILE: "raise the limit of open files",
    errno.ENOTDIR: "part of the path is a file or a symbolic link; tailer follows no links there",
    errno.ELOOP: "it is a symbolic link; tailer follows no links there",
}


def cannot_write(error: OSError) -> SinkError:
    """Translate a failed system call."""
    message = f"{error.filename} cannot be written: {error.strerror}"
    hint = HINTS.get(error.errno or 0, "")
    return (SinkError if error.errno in _PERMANENT else TransientSinkError)(message, hint=hint)


@contextmanager
def _syncing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"{path} could not be synced to disk: {error.strerror}",
            hint="the state on disk is unknown; the next start rolls back to the last mark",
        ) from error


@dataclass(frozen=True, slots=True)
class Directory:
    """An open directory; `path` is for messages.

    Errors: OSError as its system call raises it. SinkError for irregular files, and for a
    failed sync: the state on disk is unknown then, and a second sync proves nothing.
    """

    disk: Disk
    fd: int
    path: str

    def status(self, name: str) -> os.stat_result | None:
        """The status of a regular file; None when no file has that name."""
        try:
            status = self.disk.status(name, self.fd)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise TransientSinkError(
                f"{self.path}/{name} is not a regular file",
                hint="tailer writes to no link, pipe or device; remove it, and tailer continues",
            )
        return status

    @contextmanager
    def opened(self, name: str, flags: int) -> Iterator[int]:
        fd = self.disk.open_file(name, flags, self.fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def name_of(self, inode: int) -> str | None:
        return next((name for name, each in self.disk.names(self.fd) if each == inode), None)

    def sync_file(self, fd: int, name: str) -> None:
        with _syncing(f"{self.path}/{name}"):
            self.disk.sync_file(fd)

    def sync(self) -> None:
        with _syncing(self.path):
            self.disk.sync_directory(self.fd)

    def cut(self, name: str, length: int) -> None:
        with self.opened(name, os.O_WRONLY) as fd:
            self.disk.truncate(fd, length)
            self.sync_file(fd, name)

    def write(self, fd: int, page: bytes) -> None:
        """Write all of `page`: one system call, unless the disk is nearly full."""
        rest = memoryview(page)
        while rest:
            rest = rest[self.disk.write(fd, rest) :]

    def remove(self, name: str) -> None:
        """Delete a file durably: it stays deleted after a power cut."""
        self.disk.unlink(name, self.fd)
        self.sync()


@dataclass(frozen=True, slots=True)
class Tree:
    """The directories below `base`."""

    disk: Disk
    base: str

    @contextmanager
    def directory(self, path: str, *, create: bool) -> Iterator[Directory]:
        """Open the directory of the file at `path`, which is relative to the base.

        An OSError raised in the block gets that file's path as its `filename`.
        """
        fd = -1
        try:
            fd = self._base(create=create)
            for part in path.split("/")[:-1]:
                below = self._below(part, fd, create=create)
                os.close(fd)
                fd = below
            yield Directory(self.disk, fd, str(Path(self.base, path).parent))
        except OSError as error:
            error.filename = f"{self.base}/{path}"
            raise
        finally:
            if fd >= 0:
                os.close(fd)

    def _base(self, *, create: bool) -> int:
        try:
            return self.disk.open_base(self.base)
        except FileNotFoundError:
            if not create:
                raise
        return self._create(self.base)

    def _create(self, path: str) -> int:
        """Create the base and its missing parents; open it."""
        parent = str(Path(path).parent)
        try:
            fd = self.disk.open_base(parent)
        except FileNotFoundError:
            if parent == path:
                raise
            fd = self._create(parent)
        try:
            with suppress(FileExistsError):
                self.disk.make_directory(path, None)
            Directory(self.disk, fd, parent).sync()
        finally:
            os.close(fd)
        return self.disk.open_base(path)

    def _below(self, part: str, fd: int, *, create: bool) -> int:
        try:
            return self.disk.open_directory(part, fd)
        except FileNotFoundError:
            if not create:
                raise
        with suppress(FileExistsError):
            self.disk.make_directory(part, fd)
        Directory(self.disk, fd, part).sync()
        return self.disk.open_directory(part, fd)
