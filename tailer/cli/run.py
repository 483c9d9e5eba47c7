"""`tailer run`: from a configuration file to a running service."""

import contextlib
import os
import random
import signal
from functools import partial
from pathlib import Path

import anyio
import click

from tailer.aicore.credentials import Credentials
from tailer.cli.access import credentials_for
from tailer.cli.options import option
from tailer.cli.streams import start_log
from tailer.clock import SystemClock
from tailer.config import Config, find_config_path, read_config
from tailer.daemon import run_daemon
from tailer.errors import ConfigError
from tailer.health import Health
from tailer.liveness import stalled
from tailer.outlets import build_outlets
from tailer.reloading import Bell, Reloads, Setup, watch_credentials
from tailer.sinks.escape import visible
from tailer.stops import signalled
from tailer.supervisor import status_line, supervisor_from

_EPILOG = """\
\b
Examples:
  tailer run --config tailer.toml        until SIGTERM: then pollers stop and sinks drain
  TAILER_POLL__INTERVAL_S=2 tailer run   every key can also be set by a variable

\b
The configuration is looked for at --config, $TAILER_CONFIG, ./tailer.toml and
/etc/tailer/config.toml; `tailer config` prints all keys. SIGINT or SIGTERM ends
the service in order, with exit code 0; the second ends it at once. SIGHUP has the
configuration read again: what has changed is changed, everything else goes on.
"""


@click.command("run", epilog=_EPILOG)
@option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The configuration.")
@option("--strict", is_flag=True, help="End when a sink cannot be opened, instead of trying on.")
@option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    help="Of the service's own log on stderr; auto is console on a terminal, else json.",
)
def run_command(*, config: Path | None, strict: bool, log_format: str) -> int:
    """Run as a service: follow targets, and ship their lines to files, exactly once."""
    start_log(log_format)
    path = find_config_path(config, os.environ, Path.is_file)
    try:
        parsed = read_config(path, os.environ)
    except ConfigError as error:
        _complain_of_each(error)
        return error.exit_code
    # Until somebody listens, which is from before the first file is opened.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    anyio.run(_run, path, parsed, strict)
    return 0


def _complain_of_each(error: ConfigError) -> None:
    """All mistakes at once, each on a line of its own."""
    with contextlib.suppress(OSError):  # nobody can be told: the exit code has to do
        for mistake in str(error).splitlines():
            click.echo(f"tailer: {visible(mistake)}", err=True)


async def _run(path: Path, config: Config, strict: bool) -> None:  # noqa: FBT001 - anyio.run takes no keywords
    clock, health, asked_to_stop, bell = SystemClock(), Health(), anyio.Event(), Bell()
    supervisor = supervisor_from(os.environ, clock=clock, process_id=os.getpid())
    latest = Setup(
        config=config,
        credentials=credentials_for(config.aicore.service_key_file),
        outlets=build_outlets(config, clock=clock, health=health),
    )

    async def listen() -> None:
        await signalled()
        supervisor.stopping()
        asked_to_stop.set()

    async def hear_hangups() -> None:
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                bell.ring()

    def read() -> Setup:
        nonlocal latest
        wanted = read_config(path, os.environ)
        credentials = credentials_for(wanted.aicore.service_key_file)
        outlets = build_outlets(wanted, clock=clock, health=health)
        latest = Setup(config=wanted, credentials=credentials, outlets=outlets)
        return latest

    def latest_credentials() -> Credentials:
        return credentials_for(latest.config.aicore.service_key_file)

    def is_well() -> bool:
        return not stalled(health, clock.monotonic_s())

    async with anyio.create_task_group() as listening:
        listening.start_soon(listen)  # from before the spool is open: that may take its time
        listening.start_soon(hear_hangups)
        listening.start_soon(watch_credentials, latest.credentials, latest_credentials, bell, clock)
        status = partial(status_line, health)
        listening.start_soon(partial(supervisor.keep_told, status=status, is_well=is_well))
        await run_daemon(
            config,
            credentials=latest.credentials,
            outlets=latest.outlets,
            clock=clock,
            rng=random.Random(),
            environ=os.environ,
            stop=asked_to_stop.wait,
            reloads=Reloads(bell.wait, read, begun=supervisor.reloading, done=supervisor.ready),
            health=health,
            running=supervisor.ready,
            strict=strict,
        )
        listening.cancel_scope.cancel()
    supervisor.close()
