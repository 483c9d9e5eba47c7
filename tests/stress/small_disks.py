"""Small file systems to be filled, remounted read-only, and damaged. Needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system of its own, which can be filled up and made read-only."""

    path: Path

    def fill(self) -> None:
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            for size in (65_536, 4_096, 1):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def remount(self, mode: str) -> bool:
        """Remount "ro" or "rw". False while a file is open for writing."""
        command = ["mount", "-o", f"remount,{mode}", str(self.path)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def small_disk(path: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tailer-test", str(path)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@dataclass(frozen=True, slots=True)
class BreakableDisk:
    """ext4 in a file. After an error it becomes read-only, even with files open."""

    image: Path
    path: Path

    def mount(self) -> None:
        options = ["-o", "loop,errors=remount-ro"]
        subprocess.run(["mount", *options, str(self.image), str(self.path)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)

    def find_an_error(self) -> None:
        """Have the kernel believe that it did."""
        command = ["findmnt", "--noheadings", "--output", "SOURCE", str(self.path)]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        device = Path(found.stdout.strip()).name
        assert device.startswith("loop"), device  # never the machine's own disk
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1", encoding="ascii")

    def repair(self) -> None:
        """As an operator would: unmount, check, mount."""
        self.unmount()
        check = ["e2fsck", "-f", "-y", str(self.image)]
        assert subprocess.run(check, check=False, capture_output=True).returncode in {0, 1}
        self.mount()


@contextmanager
def breakable_disk(image: Path, path: Path, *, megabytes: int) -> Iterator[BreakableDisk]:
    with image.open("wb") as file:
        file.truncate(megabytes * 1_048_576)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    disk = BreakableDisk(image, path)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
