"""`tailer status`: fetch the status of a running service and show it as tables."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import click

from tailer.cli.options import color_option, option, output_option
from tailer.cli.streams import open_stdout, start_stderr, wants_color
from tailer.clock import SystemClock
from tailer.config import StatusSection, find_config_path, read_config
from tailer.config.schema import SECTIONS
from tailer.errors import ConfigError, NotFoundError
from tailer.logs.stops import signaled
from tailer.status.client import HostPort, UnixPath, ask_for_status, parse_address
from tailer.status.document import Document, SinkStatus, TargetStatus
from tailer.text import duration_text, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_STYLES = {
    "following": "green",
    "ended": "cyan",
    "gone": "yellow",
    "catching_up": "yellow",
    "backing_off": "red",
    "failed": "red",
}
_KIB = 1024
_REFRESH_S = 2.0
_WIDTH_OF_PIPES = 200
_OTHER_ROWS = 12  # of a screen: headline, headings, spool, requests and gaps

_EPILOG = """\
\b
Examples:
  tailer status                               the service of ./tailer.toml, $TAILER_CONFIG or /etc
  tailer status --watch                       again every two seconds, until Ctrl-C
  tailer status -a unix:/run/tailer/s.sock    wherever its [status] listen is
  tailer status -o json | jq .is_healthy      true while no task is stalled

\b
Exit code 0: the service responded, healthy or not; 4: no response.
"""


@click.command("status", epilog=_EPILOG)
@option("-a", "--address", metavar="ADDRESS", help="HOST:PORT or unix:/PATH, as in [status].")
@option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration of the service.",
)
@option("-w", "--watch", is_flag=True, help="Refresh every two seconds, full screen.")
@output_option("status", "table", description="Tables, or the JSON of the service.")
@color_option
def status_command(
    *, address: str | None, config: Path | None, watch: bool, output: str, color: str
) -> None:
    """Show the status of a running `tailer run`: targets, sinks, spool, gaps."""
    start_stderr(color)
    open_stdout()
    if watch and (output == "json" or not sys.stdout.isatty()):
        raise click.UsageError("--watch needs a terminal, and --output table")
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
            "the status page is turned off: [status] listen is empty",
            hint='set it, for example to "127.0.0.1:9464"',
        )
    return parse_address(listen)


def _configured(config: Path | None) -> str:
    """[status] listen of the configuration; the default if there is no configuration file.

    A file that --config or $TAILER_CONFIG names must exist.
    """
    try:
        path = find_config_path(config, os.environ, Path.is_file)
    except ConfigError:
        if config is not None or os.environ.get("TAILER_CONFIG"):
            raise
        return StatusSection().listen
    return read_config(path, os.environ).status.listen


async def _watch(place: HostPort | UnixPath, color: str) -> None:
    """Refresh the screen until a signal, then restore it. Shows errors and keeps trying."""
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
            await SystemClock().sleep(_REFRESH_S)

    with Live(console=console, screen=True, auto_refresh=False) as live:
        async with anyio.create_task_group() as showing:
            showing.start_soon(show)
            await signaled()
            showing.cancel_scope.cancel()


def _console(color: str) -> "Console":
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    in_color = wants_color(color, os.environ, is_terminal=is_terminal)
    width = shutil.get_terminal_size().columns if is_terminal else _WIDTH_OF_PIPES
    return Console(
        no_color=not in_color, force_terminal=in_color or is_terminal, width=width, highlight=False
    )


def status_view(seen: Document, *, most_targets: int | None = None) -> "RenderableType":
    """Render `seen`, with at most `most_targets` rows of targets. The urgent ones come first."""
    from rich.console import Group
    from rich.text import Text

    shown = seen.targets[:most_targets]
    left_out = len(seen.targets) - len(shown) + seen.targets_left_out
    parts: list[RenderableType] = [_headline(seen), Text("")]
    parts.append(_targets(shown))
    if left_out:
        parts.append(Text(f"and {left_out} more targets", style="dim"))
    parts += [Text(""), _sinks(seen.sinks), Text("")]
    parts += [Text(line) for line in _lines(seen)]
    return Group(*parts)


def _headline(seen: Document) -> "RenderableType":
    from rich.text import Text

    problems = [*_problems(seen)]
    verdict = "healthy" if seen.is_healthy else "UNHEALTHY"
    if seen.is_healthy and not seen.is_ready:
        verdict = "starting"
    elif seen.is_healthy and problems:
        verdict = "degraded"
    line = Text(f"tailer {seen.tailer}, up for {duration_text(seen.uptime_s)}: ")
    line.append(verdict, style="green" if verdict == "healthy" else "bold red")
    if problems:
        line.append(f" ({visible(', '.join(problems))})")
    for reason in (*seen.stalled, *seen.not_ready):
        line.append(f"\n  {visible(reason)}")
    return line


def _problems(seen: Document) -> Iterator[str]:
    """Problems that a restart does not fix, so /healthz does not report them."""
    for phase in ("failed", "backing_off"):
        count = seen.targets_by_phase.get(phase, 0)
        if count:
            yield f"{count} target{'' if count == 1 else 's'} {phase.replace('_', ' ')}"
    failing = [one for one in seen.sinks if one.backing_off_for_s is not None]
    yield from (f"sink {one.sink} backing off" for one in failing)
    if seen.spool.is_full or seen.spool.blocked_reason:
        yield "spool full" if seen.spool.is_full else "spool blocked"
    yield from (f"no list of {listing.what}" for listing in seen.listings if listing.reason)


def _targets(rows: Sequence[TargetStatus]) -> "Table":
    with_groups = len({row.resource_group for row in rows}) > 1
    headings = [*(["GROUP"] if with_groups else []), "TARGET", "PHASE", "BEHIND", "LINES"]
    table = _table([*headings, "LAST LINE", "REASON"], right=("BEHIND", "LINES", "LAST LINE"))
    for row in rows:
        cells = [
            *([row.resource_group] if with_groups else []),
            row.target,
            row.phase,
            _span(row.behind_s),
            f"{row.lines:,}",
            "-" if row.last_line_age_s is None else f"{_span(row.last_line_age_s)} ago",
            _reason(row),
        ]
        table.add_row(*map(visible, cells), style=_STYLES.get(row.phase, ""))
    return table


def _reason(row: TargetStatus) -> str:
    parts = [row.reason] if row.reason else []
    if row.phase in {"backing_off", "failed"}:
        parts.append(f"for {_span(row.phase_age_s)}")
    if row.next_try_in_s is not None:
        parts.append(f"retry in {_span(row.next_try_in_s)}")
    if row.gaps:
        parts.append("gaps: " + _counts(row.gaps))
    return ", ".join(parts)


def _sinks(rows: Sequence[SinkStatus]) -> "Table":
    table = _table(["SINK", "STATE", "LAG", "PENDING", "DELIVERED", "LAST ERROR"], right=("LAG",))
    for row in rows:
        state = "up" if row.is_up else "backing off" if row.backing_off_for_s is not None else "-"
        error = row.last_error
        if error and row.last_error_age_s is not None:
            error += f" ({_span(row.last_error_age_s)} ago)"
        if row.next_try_in_s is not None:
            error += f", retry in {_span(row.next_try_in_s)}"
        cells = [
            row.sink,
            state,
            _span(row.lag_s),
            f"{row.lag_lines:,} lines",
            f"{row.delivered_lines:,} lines",
            error,
        ]
        style = "green" if row.is_up else "red" if state == "backing off" else ""
        table.add_row(*map(visible, cells), style=style)
    return table


def _lines(seen: Document) -> Iterable[str]:
    spool = seen.spool
    full = ", FULL: polling paused" if spool.is_full else ""
    blocked = f", blocked: {spool.blocked_reason}" if spool.blocked_reason else ""
    yield visible(
        f"spool: {_size(spool.bytes)} of {_size(spool.max_bytes)}, "
        f"oldest pending line {_span(spool.oldest_s)}{full}{blocked}"
    )
    requests = seen.requests
    yield (
        f"requests: {_counts(requests.answers) or 'none yet'}; {requests.retries} retries; "
        f"{requests.rate_per_s:g} of {requests.limit_per_s:g} per second allowed"
    )
    failing = [listing for listing in seen.listings if listing.reason]
    yield from (visible(f"no list of {one.what}: {one.reason}") for one in failing)
    yield f"gaps: {_counts(seen.gaps) or 'none'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else duration_text(seconds)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < _KIB:
            return f"{count:.0f} {unit}"
        count /= _KIB
    return f"{count:.1f} GiB"


def _table(headings: Sequence[str], *, right: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_wide = heading in {"REASON", "LAST ERROR"}
        table.add_column(
            heading,
            no_wrap=not is_wide,
            justify="right" if heading in right else "left",
            overflow="ellipsis",
        )
    return table
