"""`tailer status`: fetch the status of a running service and show it as tables."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import click

from tailer.cli.context import config_path_if_any
from tailer.cli.options import color_option, file_option, option, output_option
from tailer.cli.streams import open_stdout, start_stderr, stdout_console
from tailer.clock import SystemClock
from tailer.config import StatusSection, read_config
from tailer.config.settings import SECTIONS
from tailer.errors import ConfigError, NotFoundError
from tailer.logs.stops import signaled
from tailer.status.client import HostPort, UnixPath, ask_for_status, parse_address
from tailer.status.document import Document, SinkStatus, TargetStatus
from tailer.text import duration_text, size_text, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_STYLES = {
    "following": "green",
    "ended": "cyan",
    "gone": "yellow",
    "catching_up": "yellow",
    "backing_off": "red",
    "failed": "red",
}
_REFRESH_S = 2.0
_OTHER_ROWS = 12  # headline, headings, spool, requests and gaps

_EPILOG = """\
\b
Examples:
  tailer status                             address of [status] listen
  tailer status --watch                     refresh until Ctrl-C
  tailer status -a unix:/run/tailer/s.sock  another address
  tailer status -o json | jq .is_healthy    true while no task is stalled

\b
The configuration is found as by `tailer run`.
Exit code 0: the service responded, healthy or not; 4: no response.
"""


@click.command("status", epilog=_EPILOG)
@option("-a", "--address", metavar="ADDRESS", help="HOST:PORT or unix:/PATH, as in [status].")
@file_option("--config", help="Configuration of the service.")
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
    server = _address_of(address, config)
    if watch:
        anyio.run(_watch, server, color)
        return
    received, document = ask_for_status(server)
    if output == "json":
        click.echo(received, nl=False)
        return
    console = stdout_console(color)
    with console.capture() as drawn:  # rich would exit the process when stdout is closed
        console.print(status_view(document))
    click.echo(drawn.get(), nl=False, color=not console.no_color)


def _address_of(address: str | None, config: Path | None) -> HostPort | UnixPath:
    if address is not None:
        try:
            listen = str(SECTIONS["status"]["listen"].read(address))
        except ConfigError as error:
            raise click.UsageError(f"--address: {error}") from error
    else:
        path = config_path_if_any(config)
        section = StatusSection() if path is None else read_config(path, os.environ).status
        listen = section.listen
    if not listen:
        raise ConfigError(
            "the status page is turned off: [status] listen is empty",
            hint='set it, for example to "127.0.0.1:9464"',
        )
    return parse_address(listen)


async def _watch(server: HostPort | UnixPath, color: str) -> None:
    """Refresh the screen until a signal, then restore it. An error is shown and retried."""
    from rich.live import Live
    from rich.text import Text

    console = stdout_console(color)

    async def show() -> None:
        while True:
            try:
                _, document = await anyio.to_thread.run_sync(
                    ask_for_status, server, abandon_on_cancel=True
                )
            except NotFoundError as error:
                live.update(Text(str(error), style="red"), refresh=True)
            else:
                rows = max(1, console.size.height - _OTHER_ROWS - len(document.sinks))
                live.update(status_view(document, max_targets=rows), refresh=True)
            await SystemClock().sleep(_REFRESH_S)

    with Live(console=console, screen=True, auto_refresh=False) as live:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            await signaled()
            tasks.cancel_scope.cancel()


def status_view(document: Document, *, max_targets: int | None = None) -> "RenderableType":
    """Render the status; the first `max_targets` targets are the most urgent ones."""
    from rich.console import Group
    from rich.text import Text

    rows = document.targets[:max_targets]
    left_out = len(document.targets) - len(rows) + document.targets_left_out
    parts: list[RenderableType] = [_headline(document), Text(""), _targets(rows)]
    if left_out:
        parts.append(Text(f"and {left_out} more targets", style="dim"))
    parts += [Text(""), _sinks(document.sinks), Text("")]
    parts += [Text(line) for line in _other_lines(document)]
    return Group(*parts)


def _headline(document: Document) -> "RenderableType":
    from rich.text import Text

    problems = [*_problems(document)]
    verdict = "healthy" if document.is_healthy else "UNHEALTHY"
    if document.is_healthy and not document.is_ready:
        verdict = "starting"
    elif document.is_healthy and problems:
        verdict = "degraded"
    line = Text(f"tailer {document.tailer}, up for {duration_text(document.uptime_s)}: ")
    line.append(verdict, style="green" if verdict == "healthy" else "bold red")
    if problems:
        line.append(f" ({visible(', '.join(problems))})")
    for reason in (*document.stalled, *document.not_ready):
        line.append(f"\n  {visible(reason)}")
    return line


def _problems(document: Document) -> Iterator[str]:
    """Name the problems that a restart does not fix; /healthz does not report them."""
    for phase in ("failed", "backing_off"):
        count = document.targets_by_phase.get(phase, 0)
        if count:
            yield f"{count} target{'' if count == 1 else 's'} {phase.replace('_', ' ')}"
    failing = [one for one in document.sinks if one.backing_off_for_s is not None]
    yield from (f"sink {one.sink} backing off" for one in failing)
    if document.spool.is_full or document.spool.blocked_reason:
        yield "spool full" if document.spool.is_full else "spool blocked"
    yield from (f"no list of {listing.what}" for listing in document.listings if listing.reason)


def _targets(rows: Sequence[TargetStatus]) -> "Table":
    with_groups = len({row.resource_group for row in rows}) > 1
    headings = [*(["GROUP"] if with_groups else []), "TARGET", "PHASE", "BEHIND", "LINES"]
    table = _table([*headings, "LAST LINE", "REASON"], right=("BEHIND", "LINES", "LAST LINE"))
    for row in rows:
        cells = [
            *([row.resource_group] if with_groups else []),
            row.target,
            row.phase,
            _duration(row.behind_s),
            f"{row.lines:,}",
            "-" if row.last_line_age_s is None else f"{_duration(row.last_line_age_s)} ago",
            _reason(row),
        ]
        table.add_row(*map(visible, cells), style=_STYLES.get(row.phase, ""))
    return table


def _reason(row: TargetStatus) -> str:
    parts = [row.reason] if row.reason else []
    if row.phase in {"backing_off", "failed"}:
        parts.append(f"for {_duration(row.phase_age_s)}")
    if row.next_try_in_s is not None:
        parts.append(f"retry in {_duration(row.next_try_in_s)}")
    if row.gaps:
        parts.append("gaps: " + _counts(row.gaps))
    return ", ".join(parts)


def _sinks(rows: Sequence[SinkStatus]) -> "Table":
    table = _table(["SINK", "STATE", "LAG", "PENDING", "DELIVERED", "LAST ERROR"], right=("LAG",))
    for row in rows:
        state = "up" if row.is_up else "backing off" if row.backing_off_for_s is not None else "-"
        error = row.last_error
        if error and row.last_error_age_s is not None:
            error += f" ({_duration(row.last_error_age_s)} ago)"
        if row.next_try_in_s is not None:
            error += f", retry in {_duration(row.next_try_in_s)}"
        cells = [
            row.sink,
            state,
            _duration(row.lag_s),
            f"{row.lag_lines:,} lines",
            f"{row.delivered_lines:,} lines",
            error,
        ]
        style = "green" if row.is_up else "red" if state == "backing off" else ""
        table.add_row(*map(visible, cells), style=style)
    return table


def _other_lines(document: Document) -> Iterable[str]:
    spool = document.spool
    full = ", FULL: polling paused" if spool.is_full else ""
    blocked = f", blocked: {spool.blocked_reason}" if spool.blocked_reason else ""
    yield visible(
        f"spool: {size_text(spool.bytes)} of {size_text(spool.max_bytes)}, "
        f"oldest pending line {_duration(spool.oldest_s)}{full}{blocked}"
    )
    requests = document.requests
    yield (
        f"requests: {_counts(requests.answers) or 'none yet'}; {requests.retries} retries; "
        f"{requests.rate_per_s:g} of {requests.limit_per_s:g} per second allowed"
    )
    failing = [listing for listing in document.listings if listing.reason]
    yield from (visible(f"no list of {one.what}: {one.reason}") for one in failing)
    yield f"gaps: {_counts(document.gaps) or 'none'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else duration_text(seconds)


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
