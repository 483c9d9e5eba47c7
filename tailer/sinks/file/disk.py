"""The system calls of the file sink, one method each: here tests pull the plug.

Names are relative to an open folder, and links are never followed below the base.
"""

import os

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
