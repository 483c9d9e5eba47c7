"""System calls below one base folder, no symlinks.

The system calls of the file sink, one method each: here tests pull the plug.

Names are relative to an open folder, and links are never followed below the base.

Folders below one base, walked one by one so that no symbolic link leads out of it.

The base itself is the operator's, and may be reached through links.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tailer.errors import SinkError, TransientSinkError

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a pipe must not hang us
_FILE_MODE = 0o640  # a stricter umask may take more away
_FOLDER_MODE = 0o750


class Disk:
    """Every method raises OSError as the system call did. Closing is not a call of its own."""

    def open_base(self, path: str) -> int:
        return os.open(path, _FOLDER_FLAGS)

    def open_folder(self, name: str, folder: int) -> int:
        return os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)

    def make_folder(self, name: str, folder: int | None) -> None:
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)

    def open_file(self, name: str, flags: int, folder: int) -> int:
        return os.open(name, flags | _FILE_FLAGS, _FILE_MODE, dir_fd=folder)

    def status(self, name: str, folder: int) -> os.stat_result:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def names(self, folder: int) -> list[tuple[str, int]]:
        """Of everything in a folder, with inodes."""
        with os.scandir(folder) as found:
            return [(each.name, each.inode()) for each in found]

    def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    def write(self, fd: int, page: bytes | memoryview) -> int:
        return os.write(fd, page)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def rename(self, name: str, to: str, folder: int) -> None:
        os.rename(name, to, src_dir_fd=folder, dst_dir_fd=folder)

    def unlink(self, name: str, folder: int) -> None:
        os.unlink(name, dir_fd=folder)

    def sync_file(self, fd: int) -> None:
        os.fdatasync(fd)

    def sync_folder(self, fd: int) -> None:
        os.fsync(fd)


THE_DISK = Disk()

# What waiting does not mend. All else, a full disk or a lost mount, may pass.
_STAYS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG})
_HINTS = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "raise the quota, or make room",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "tailer's user needs the right to write there",
    errno.EPERM: "tailer's user needs the right to write there",
    errno.EMFILE: "raise the limit of open files",
    errno.ENOTDIR: "a folder on the way is a file or a symbolic link; tailer follows none there",
    errno.ELOOP: "it is a symbolic link; tailer follows none there",
}


def cannot_write(error: OSError) -> SinkError:
    """What a failed system call means for the sink."""
    message = f"{error.filename} cannot be written: {error.strerror}"
    hint = _HINTS.get(error.errno or 0, "")
    return (SinkError if error.errno in _STAYS else TransientSinkError)(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder. `shown` is how people know it.

    Errors: OSError as the call did, SinkError for what can never be a log file, and for
    a failed sync: what the disk then holds is unknown, so trying again proves nothing.
    """

    disk: Disk
    fd: int
    shown: str

    def look(self, name: str) -> os.stat_result | None:
        """How the file of that name stands; None when there is none."""
        try:
            status = self.disk.status(name, self.fd)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise TransientSinkError(
                f"{self.shown}/{name} is not a regular file",
                hint="tailer writes to no link, pipe or device; it goes on when that is removed",
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
        try:
            self.disk.sync_file(fd)
        except OSError as error:
            raise _unknown_outcome(error, f"{self.shown}/{name}") from error

    def sync(self) -> None:
        try:
            self.disk.sync_folder(self.fd)
        except OSError as error:
            raise _unknown_outcome(error, self.shown) from error

    def cut(self, name: str, length: int) -> None:
        with self.opened(name, os.O_WRONLY) as fd:
            self.disk.truncate(fd, length)
            self.sync_file(fd, name)

    def write(self, fd: int, page: bytes) -> None:
        """All of it; one call, as long as there is room."""
        rest = memoryview(page)
        while rest:
            rest = rest[self.disk.write(fd, rest) :]

    def remove(self, name: str) -> None:
        """Gone for good, also after a power cut."""
        self.disk.unlink(name, self.fd)
        self.sync()


def _unknown_outcome(error: OSError, shown: str) -> SinkError:
    return SinkError(
        f"{shown} could not be brought to disk: {error.strerror}",
        hint="what the disk holds is unknown; the next start cuts back to what is certain",
    )


@dataclass(frozen=True, slots=True)
class Tree:
    disk: Disk
    base: str

    @contextmanager
    def folder(self, path: str, *, make: bool) -> Iterator[Folder]:
        """The folder of the file at `path`, which is relative to the base.

        An OSError that passes through here learns which file it was about.
        """
        fd = -1
        try:
            fd = self._base(make=make)
            for part in path.split("/")[:-1]:
                below = self._below(part, fd, make=make)
                os.close(fd)
                fd = below
            yield Folder(self.disk, fd, str(Path(self.base, path).parent))
        except OSError as error:
            error.filename = f"{self.base}/{path}"
            raise
        finally:
            if fd >= 0:
                os.close(fd)

    def _base(self, *, make: bool) -> int:
        try:
            return self.disk.open_base(self.base)
        except FileNotFoundError:
            if not make:
                raise
        self._make(self.base)
        return self.disk.open_base(self.base)

    def _make(self, path: str) -> None:
        """With the folders above it."""
        above = str(Path(path).parent)
        try:
            fd = self.disk.open_base(above)
        except FileNotFoundError:
            if above == path:
                raise
            self._make(above)
            fd = self.disk.open_base(above)
        try:
            with suppress(FileExistsError):
                self.disk.make_folder(path, None)
            Folder(self.disk, fd, above).sync()
        finally:
            os.close(fd)

    def _below(self, part: str, fd: int, *, make: bool) -> int:
        try:
            return self.disk.open_folder(part, fd)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            self.disk.make_folder(part, fd)
        Folder(self.disk, fd, part).sync()
        return self.disk.open_folder(part, fd)
