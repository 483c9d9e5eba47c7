"""The command `tailer`: which commands there are, and how every one of them ends.

Commands are imported when they are called, so that `tailer --help` is quick.
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
from tailer.errors import ReaderGoneError, TailerError

_COMMANDS = {
    "logs": "Print the logs of deployments and executions; -f to follow them.",
    "run": "Run as a service: ship lines to files, exactly once.",
    "check": "Check everything that `run` needs, and leave no trace.",
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
  tailer list                            what there is
  tailer logs -f deployment/d1a2b3c4     follow a deployment
  tailer logs --since 2h execution/e5f6  print two hours of an execution
  tailer demo                            see it work, without an account
"""


@contextlib.contextmanager
def _the_reader_may_leave() -> Iterator[None]:
    """Of a BrokenPipeError click would make a failure."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError("the reader of our output has left") from error


class _Commands(click.Group):
    """Knows its commands by name, and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"tailer.cli.{cmd_name}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        with _the_reader_may_leave():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _the_reader_may_leave():
                return super().invoke(ctx)
        except click.UsageError as error:
            called = self.get_command(ctx, ctx.invoked_subcommand or "")
            if error.ctx is None and called is not None:  # so that it names the right --help
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
    """Run the command line and leave with the exit code that the README lists."""
    try:
        code = tailer(prog_name="tailer", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        if code == _INTERRUPTED and sys.stderr is not None and sys.stderr.isatty():
            _say("")  # or the prompt would follow the terminal's `^C`
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into an end
        code = _exit_code_after(error)
    _leave(code if isinstance(code, int) else 0)


def _exit_code_after(error: BaseException) -> int:
    """Say on stderr what happened, in one line, and give the exit code. A bug is raised again."""
    leaves = list(_leaves(error))
    if all(isinstance(leaf, TailerError) for leaf in leaves):
        first = leaves[0]
        assert isinstance(first, TailerError)
        if first.exit_code:
            _complain(str(first))
        return first.exit_code
    match leaves[0]:
        case click.exceptions.NoArgsIsHelpError() as lost:
            _say(lost.format_message())
            return 2
        case click.ClickException() as refused:
            where = (
                refused.ctx.command_path
                if isinstance(refused, click.UsageError) and refused.ctx
                else "tailer"
            )
            _complain(
                f"{' '.join(refused.format_message().split()).rstrip('.')} (see {where} --help)"
            )
            return 2
        case KeyboardInterrupt() | click.Abort():
            return _INTERRUPTED
        case BrokenPipeError():
            return 0
        case OSError(errno=number) as failed if number in _UNWRITABLE:
            _complain(f"standard output cannot be written: {failed.strerror}")
            return 5
        case _:
            raise error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in (nested) groups, one by one."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _complain(text: str) -> None:
    from tailer.sinks.escape import visible

    _say(f"tailer: {visible(text)}")


def _say(text: str) -> None:
    """On stderr; where nobody can be told, the exit code has to do."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def _leave(code: Any) -> None:
    """Exit without a word from the interpreter about streams that cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
