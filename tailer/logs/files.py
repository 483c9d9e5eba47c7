"""Open the --tee file; refuse files that stdout or stderr already write to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tailer.errors import ConfigError, SinkError


def refuse_own_output(flag: str, path: Path) -> None:
    """Two writers of one file would overwrite each other's lines.

    Raises:
        ConfigError: stdout or stderr is redirected to `path`.
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
    """The descriptor of the --tee file, truncated or created; None without a path.

    A named pipe without a reader fails, because waiting for one could not be interrupted.

    Raises:
        ConfigError: stdout or stderr is redirected to `path`.
        SinkError: The file cannot be written.
    """
    if path is None:
        yield None
        return
    refuse_own_output("--tee", path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o666)
    except OSError as error:
        raise SinkError(f"--tee {path} cannot be written: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)
