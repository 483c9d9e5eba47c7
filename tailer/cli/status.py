"""`tailer status`: what a running service says of itself."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import click

from tailer.cli.options import color_option, option, output_option
from tailer.cli.status_view import status_view
from tailer.cli.streams import open_stdout, start_stderr, wants_colour
from tailer.clock import SystemClock
from tailer.config import StatusSection, find_config_path, read_config
from tailer.config.schema import SECTIONS
from tailer.errors import ConfigError, NotFoundError
from tailer.statuspage.address import HostPort, UnixPath, parse_address
from tailer.statuspage.asking import ask_for_status
from tailer.stops import signalled

if TYPE_CHECKING:
    from rich.console import Console

_PAUSE_S = 2.0
_WIDTH_OF_PIPES = 200
_OTHER_ROWS = 12  # of a screen: the headline, sinks, spool, requests and gaps

_EPILOG = """\
\b
Examples:
  tailer status                               the service of ./tailer.toml, $TAILER_CONFIG or /etc
  tailer status --watch                       again every two seconds, until Ctrl-C
  tailer status -a unix:/run/tailer/s.sock    wherever its [status] listen is
  tailer status -o json | jq .is_healthy      docs/operating.md has all fields

\b
Exit code 0: it has answered, well or not; 4: nothing answers there.
"""


@click.command("status", epilog=_EPILOG)
@option("-a", "--address", metavar="ADDRESS", help="HOST:PORT or unix:/PATH, as in [status].")
@option("--config", type=click.Path(path_type=Path), metavar="FILE", help="That of the service.")
@option("-w", "--watch", is_flag=True, help="Show it again and again, on the whole screen.")
@output_option("status", "table", description="For people, or what the service said, as it is.")
@color_option
def status_command(
    *, address: str | None, config: Path | None, watch: bool, output: str, color: str
) -> None:
    """Show what a running `tailer run` does: targets, sinks, spool, gaps."""
    start_stderr(color)
    open_stdout()
    if watch and (output == "json" or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for people at a terminal")
    place = _place(address, config)
    if watch:
        anyio.run(_watch, place, color)
        return
    received, seen = ask_for_status(place)
    if output == "json":
        click.echo(received, nl=False)
        return
    console = _console(color)
    with console.capture() as drawn:  # rich ends the program itself when a reader leaves
        console.print(status_view(seen))
    click.echo(drawn.get(), nl=False, color=not console.no_color)


def _place(address: str | None, config: Path | None) -> HostPort | UnixPath:
    if address is not None:
        try:
            listen = str(SECTIONS["status"]["listen"].read(address))
        except ConfigError as error:
            raise click.UsageError(f"--address: {error}") from error
    else:
        listen = _configured(config)
    if not listen:
        raise ConfigError(
            "the service has no status page: [status] listen is empty",
            hint='give it one, such as "127.0.0.1:9464"',
        )
    return parse_address(listen)


def _configured(config: Path | None) -> str:
    """Without any configuration the service's default. One that is asked for must be there."""
    try:
        path = find_config_path(config, os.environ, Path.is_file)
    except ConfigError:
        if config is not None or os.environ.get("TAILER_CONFIG"):
            raise
        return StatusSection().listen
    return read_config(path, os.environ).status.listen


async def _watch(place: HostPort | UnixPath, color: str) -> None:
    """Until a signal; the screen is then as it was before. What fails meanwhile is shown."""
    from rich.live import Live
    from rich.text import Text

    console = _console(color)

    async def show() -> None:
        while True:
            try:
                _, seen = await anyio.to_thread.run_sync(
                    ask_for_status, place, abandon_on_cancel=True
                )
            except NotFoundError as error:
                live.update(Text(str(error), style="red"), refresh=True)
            else:
                rows = max(1, console.size.height - _OTHER_ROWS - len(seen.sinks))
                live.update(status_view(seen, most_targets=rows), refresh=True)
            await SystemClock().sleep(_PAUSE_S)

    with Live(console=console, screen=True, auto_refresh=False) as live:
        async with anyio.create_task_group() as showing:
            showing.start_soon(show)
            await signalled()
            showing.cancel_scope.cancel()


def _console(color: str) -> "Console":
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    colour = wants_colour(color, os.environ, is_terminal=is_terminal)
    width = shutil.get_terminal_size().columns if is_terminal else _WIDTH_OF_PIPES
    return Console(
        no_color=not colour, force_terminal=colour or is_terminal, width=width, highlight=False
    )
