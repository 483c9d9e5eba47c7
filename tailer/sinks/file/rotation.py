"""When a file is closed, and what it is called from then on. Pure.

`d1.log` becomes `d1.000001.log`, the next one `d1.000002.log`, and compressed
`d1.000001.log.gz`. Numbers only grow and no name is ever used again, so a rotation is one
rename; and as an extension begins with a letter, names in order are lines in order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tailer.sinks.file.mark import FileState
from tailer.timestamp import NS_PER_S

COMPRESSED = ".gz"
UNFINISHED = ".gz.tmp"
_LEAST_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """0 means: never, and for `keep_files`: all.

    A file holds at most `max_bytes`, unless a single write is larger, and lines that were
    written within one period of `every_s` seconds, counted from 1970: 86400 starts a
    new file after midnight, UTC.
    """

    max_bytes: int
    every_s: float
    keep_files: int
    compress: bool

    @property
    def wants_housekeeping(self) -> bool:
        return self.compress or self.keep_files > 0

    def is_due(self, state: FileState, more_bytes: int, now_ns: int) -> bool:
        if state.length == 0:
            return False
        if self.max_bytes and state.length + more_bytes > self.max_bytes:
            return True
        period_ns = round(self.every_s * NS_PER_S)
        return period_ns > 0 and now_ns // period_ns > state.written_ns // period_ns


def closed_name(name: str, number: int) -> str:
    stem, _, extension = name.rpartition(".")
    return f"{stem}.{number:0{_LEAST_DIGITS}}.{extension}"


def closed_number(name: str, of: str) -> int | None:
    """The number of a closed file of the file `of`, compressed or not; else None."""
    stem, _, extension = of.rpartition(".")
    digits = name.removesuffix(COMPRESSED).removesuffix(f".{extension}").removeprefix(f"{stem}.")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = int(digits)
    return number if name.removesuffix(COMPRESSED) == closed_name(of, number) else None


def closed_numbers(names: Iterable[str], of: str) -> list[int]:
    """Ascending, each once."""
    numbers = (closed_number(name, of) for name in names)
    return sorted({number for number in numbers if number is not None})
