"""The command group `tailer`: its subcommands, and errors turned into exit codes.

A subcommand is imported when it is called, so that `tailer --help` stays fast.
"""

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from tailer import __version__
from tailer.errors import ConfigError, ReaderGoneError, TailerError, leaves

_COMMANDS = {
    "logs": "Print the logs of deployments and executions; -f to follow them.",
    "run": "Run as a service: ship lines to files and syslog.",
    "check": "Check everything that `run` needs, without leaving anything behind.",
    "status": "Show what a running service does.",
    "config": "Print a commented configuration with every key of `run`.",
    "list": "List deployments and executions.",
    "demo": "Watch tailer follow a simulated AI Core that misbehaves.",
    "simulate": "Run a simulated AI Core to try things on.",
    "completion": "Print the completion script of a shell.",
}

_INTERRUPTED = 130

# What a write to stdout fails with; all other parts translate their own OSErrors.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})

_EPILOG = """\
\b
Examples:
  tailer list                            list deployments and executions
  tailer logs -f deployment/d1a2b3c4     follow a deployment
  tailer logs --since 2h execution/e5f6  the last two hours of an execution
  tailer demo                            see it work, without an account
"""


@contextlib.contextmanager
def _closed_pipe_is_no_failure() -> Iterator[None]:
    """Raise ReaderGoneError for a BrokenPipeError, which click would report as a failure."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError("the reader of standard output has closed it") from error


class _Commands(click.Group):
    """A group that imports only the subcommand that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"tailer.cli.{cmd_name}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        with _closed_pipe_is_no_failure():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _closed_pipe_is_no_failure():
                return super().invoke(ctx)
        except click.UsageError as error:
            called = self.get_command(ctx, ctx.invoked_subcommand or "")
            if error.ctx is None and called is not None:  # the message then names the right --help
                error.ctx = click.Context(called, info_name=called.name, parent=ctx)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="tailer %(version)s")
def tailer() -> None:
    """Follow the logs of SAP AI Core deployments and executions, without losing a line.

    Log lines go to stdout, everything else to stderr. Every flag can be set in the
    environment too: --since as TAILER_SINCE.
    """


def main() -> None:
    """Run the command line and exit with a documented exit code."""
    try:
        code = tailer(prog_name="tailer", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        if code == _INTERRUPTED and sys.stderr is not None and sys.stderr.isatty():
            _print_error("")  # the prompt starts on a new line, not behind the terminal's `^C`
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into an exit code
        code = _exit_code_after(error)
    _exit(code if isinstance(code, int) else 0)


def _exit_code_after(error: BaseException) -> int:
    """Print the error in one line on stderr and return its exit code. A bug is raised again."""
    first, *others = leaves(error)
    if isinstance(first, TailerError) and all(isinstance(one, TailerError) for one in others):
        if isinstance(first, ConfigError):
            for mistake in str(first).splitlines():
                _report(mistake)
        elif first.exit_code:
            _report(str(first))
        return first.exit_code
    match first:
        case click.exceptions.NoArgsIsHelpError() as usage:
            _print_error(usage.format_message())
            return 2
        case click.ClickException() as click_error:
            where = (
                click_error.ctx.command_path
                if isinstance(click_error, click.UsageError) and click_error.ctx
                else "tailer"
            )
            _report(
                f"{' '.join(click_error.format_message().split()).rstrip('.')} (see {where} --help)"
            )
            return 2
        case KeyboardInterrupt() | click.Abort():
            return _INTERRUPTED
        case BrokenPipeError():
            return 0
        case OSError(errno=number) as failed if number in _UNWRITABLE:
            _report(f"standard output cannot be written: {failed.strerror}")
            return 5
        case _:
            raise error


def _report(text: str) -> None:
    from tailer.text import visible

    _print_error(f"tailer: {visible(text)}")


def _print_error(text: str) -> None:
    """Write to stderr. If stderr cannot be written, the exit code alone reports the error."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def _exit(code: Any) -> None:
    """Exit without the interpreter's warning about streams that cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
