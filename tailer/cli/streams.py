"""Standard output, notices on standard error, and whether output is colored."""

import os
import sys
from collections.abc import Mapping

from tailer.cli.notices import start_notices
from tailer.cli.stderr import NoticeStream
from tailer.errors import SinkError


def open_stdout() -> int:
    """The descriptor of standard output.

    Raises:
        SinkError: Standard output is closed (`>&-`), so its number may be reused.
    """
    if sys.stdout is None:
        raise SinkError("standard output is closed", hint="redirect it to /dev/null instead")
    return sys.stdout.fileno()


def start_stderr(color: str, *, quiet: bool = False) -> NoticeStream:
    """Send notices to stderr, or discard them if stderr is closed (`2>&-`)."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    stream = NoticeStream(sys.stderr)
    start_notices(
        style="people" if is_terminal else "logfmt",
        quiet=quiet,
        in_color=wants_color(color, os.environ, is_terminal=is_terminal),
        stream=stream,
    )
    return stream


def start_log(style: str) -> None:
    """Send the service's log to stderr as `console` or `json`; `auto` chooses."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    is_for_people = style == "console" or (style == "auto" and is_terminal)
    start_notices(
        style="people" if is_for_people else "json",
        quiet=False,
        in_color=is_for_people and wants_color("auto", os.environ, is_terminal=is_terminal),
        stream=NoticeStream(sys.stderr),
    )


def wants_color(choice: str, environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Decide by `--color`, then NO_COLOR and FORCE_COLOR (non-empty), then the stream."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_terminal and environ.get("TERM") != "dumb"
