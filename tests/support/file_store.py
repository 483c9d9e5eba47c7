"""A file sink's thread and its spool in one: batches go in, crashes happen, files are read."""

import gzip
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from support.batches import TIME_NS, line
from tailer.model import Batch, Kind, Target
from tailer.sinks.file.disk import THE_DISK, Disk, Tree
from tailer.sinks.file.paths import PathTemplate
from tailer.sinks.file.rotation import Housekeeper, Rotation, closed_number
from tailer.sinks.file.writer import FileWriter
from tailer.sinks.formats.structured import format_raw

FAST = Path("/dev/shm")  # noqa: S108 - memory, where a sync costs nothing


@contextmanager
def fast_folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        yield Path(folder)


def batch_for(position: int, *lines_: tuple[str, str], id_: str = "d1") -> Batch:
    """`lines_` are pods with messages."""
    entries = tuple(line(f"{msg}\n", pod=pod) for pod, msg in lines_)
    return Batch(
        position, Target("default", Kind.DEPLOYMENT, id_), entries, (TIME_NS,) * len(entries)
    )


class PromptHousekeeper(Housekeeper):
    """Does at once what the real one leaves to its thread."""

    def submit(self, path: str, up_to: int) -> None:
        self.tidy(path, up_to)


class IdleHousekeeper(Housekeeper):
    """The machine is slow, or died before this one's turn came."""

    def submit(self, path: str, up_to: int) -> None:
        """Later."""


class Store:
    """`position` and `mark` are what the spool has: committed together, never taken back."""

    def __init__(
        self,
        folder: Path,
        template: str = "{id}/{pod}.log",
        *,
        rotate_bytes: int = 0,
        rotate_s: float = 0,
        keep_files: int = 0,
        compress: bool = False,
        tracked_files: int = 64,
    ) -> None:
        self.folder = folder
        self.template = PathTemplate(f"{folder}/{template}")
        self.position = 0
        self.mark: bytes | None = None
        self.gaps: list[tuple[str, str]] = []
        self._rotation = Rotation(
            max_bytes=rotate_bytes, every_s=rotate_s, keep_files=keep_files, compress=compress
        )
        self._tracked_files = tracked_files

    def start(
        self, disk: Disk = THE_DISK, housekeeper: type[Housekeeper] = PromptHousekeeper
    ) -> FileWriter:
        tree = Tree(disk, self.template.base)
        writer = FileWriter(
            "file",
            self.template,
            format_raw,
            tree=tree,
            rotation=self._rotation,
            housekeeper=housekeeper(tree, self._rotation),
            tracked_files=self._tracked_files,
            report_gap=lambda path, detail: self.gaps.append((path, detail)),
        )
        writer.recover(self.mark, now_ns=TIME_NS)
        self.mark = writer.mark
        return writer

    def deliver(
        self,
        writer: FileWriter,
        batches: Sequence[Batch],
        now_ns: int = TIME_NS,
        *,
        at_once: int = 1,
    ) -> None:
        """Write all uncommitted batches, at most `at_once` in one write."""
        while some := batches[self.position : self.position + at_once]:
            mark = writer.write(some, now_ns=now_ns)
            self.position, self.mark = some[-1].position, mark

    def truth(self, batches: Sequence[Batch]) -> dict[str, bytes]:
        """What the files must say together, each with its closed ones."""
        expected: dict[str, bytes] = defaultdict(bytes)
        for batch in batches[: self.position]:
            for entry, time_ns in zip(batch.entries, batch.times_ns, strict=True):
                path = self.template.path(batch.target, self.template.names(entry, time_ns))
                expected[path] += str(entry.msg).encode()
        return dict(expected)

    def read(self) -> dict[str, bytes]:
        return read_files(self.folder)


def read_files(folder: Path) -> dict[str, bytes]:
    """Each active file's path, with what it and its closed ones say in the order of names."""
    found: dict[str, bytes] = defaultdict(bytes)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith(".tailer-"):
            continue
        assert path.suffix in {".log", ".gz"}, f"left over: {path}"
        page = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found[_active(path.relative_to(folder))] += page
    return {path: page for path, page in found.items() if page}


def _active(path: Path) -> str:
    stem = path.name.removesuffix(".gz").removesuffix(".log").rpartition(".")[0]
    active = path.with_name(f"{stem}.log")
    return str(active if closed_number(path.name, active.name) is not None else path)
