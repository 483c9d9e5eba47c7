"""--tee and --summary files; never our own streams."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tailer.errors import ConfigError, SinkError


def refuse_our_own(flag: str, path: Path) -> None:
    """A file that one of our streams goes to: two who write there overwrite each other.

    Raises:
        ConfigError: It is.
    """
    for name, stream in (("standard output", sys.stdout), ("standard error", sys.stderr)):
        with suppress(OSError):
            if stream is None or not path.is_file():
                continue
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                raise ConfigError(
                    f"{flag} {path} is the file that {name} goes to", hint="name another file"
                )


@contextmanager
def opened_copy(path: Path | None) -> Iterator[int | None]:
    """The descriptor of `--tee`'s file, which is emptied, or made; None without a path.

    A named pipe must have a reader: waiting for one could not be interrupted.

    Raises:
        ConfigError: One of our streams goes there already.
        SinkError: It cannot be written.
    """
    if path is None:
        yield None
        return
    refuse_our_own("--tee", path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o666)
    except OSError as error:
        raise SinkError(f"--tee {path} cannot be written: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)
