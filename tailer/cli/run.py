"""`tailer run`: read the configuration, handle signals, run the daemon."""

import os
import random
import signal
from functools import partial
from pathlib import Path

import anyio
import click

from tailer.aicore.credentials import Credentials
from tailer.cli.context import credentials_for
from tailer.cli.options import file_option, option
from tailer.cli.streams import start_log
from tailer.clock import SystemClock
from tailer.config import Config, find_config_path, read_config
from tailer.daemon.daemon import run_daemon
from tailer.daemon.reload import ReloadSource, Setup, watch_credentials
from tailer.daemon.sinks import build_sinks
from tailer.health.health import Health
from tailer.health.liveness import stalled
from tailer.logs.stops import signaled
from tailer.status.systemd import status_line, supervisor_from

_EPILOG = """\
\b
Examples:
  tailer run --config tailer.toml        runs until SIGTERM
  TAILER_POLL__INTERVAL_S=2 tailer run   a variable sets a key of the file

\b
The configuration is the first of --config, $TAILER_CONFIG, ./tailer.toml and
/etc/tailer/config.toml; `tailer config` prints an example that explains every
key. SIGINT or SIGTERM stops polling, drains the sinks and exits with code 0;
a second signal exits at once. SIGHUP reloads the configuration without
interrupting unchanged targets and sinks.
"""


@click.command("run", epilog=_EPILOG)
@file_option("--config", help="Configuration file.")
@option("--strict", is_flag=True, help="Exit if a sink cannot be opened (default: keep retrying).")
@option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    help="Format of the service's own log on stderr; auto: console on a terminal, else json.",
)
def run_command(*, config: Path | None, strict: bool, log_format: str) -> None:
    """Run as a service: follow targets and ship their lines to files and syslog."""
    start_log(log_format)
    path = find_config_path(config, os.environ, Path.is_file)
    parsed = read_config(path, os.environ)
    # Ignored until the signal receiver runs, which starts before the first file is opened.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    anyio.run(_run, path, parsed, strict)


async def _run(path: Path, config: Config, strict: bool) -> None:  # noqa: FBT001 - anyio.run takes no keywords
    clock, health, asked_to_stop = SystemClock(), Health(), anyio.Event()
    supervisor = supervisor_from(os.environ, clock=clock, process_id=os.getpid())

    def setup_of(config: Config) -> Setup:
        credentials = credentials_for(config.aicore.service_key_file)
        sinks = build_sinks(config, clock=clock, health=health)
        return Setup(config=config, credentials=credentials, sinks=sinks)

    latest = setup_of(config)

    async def listen() -> None:
        await signaled()
        supervisor.stopping()
        asked_to_stop.set()

    async def receive_hangups() -> None:
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                reloads.request()

    def read() -> Setup:
        nonlocal latest
        latest = setup_of(read_config(path, os.environ))
        return latest

    def latest_credentials() -> Credentials:
        return credentials_for(latest.config.aicore.service_key_file)

    reloads = ReloadSource(read, on_start=supervisor.reloading, on_done=supervisor.ready)
    async with anyio.create_task_group() as listening:
        listening.start_soon(listen)  # before the spool is opened, which may take long
        listening.start_soon(receive_hangups)
        listening.start_soon(
            watch_credentials, latest.credentials, latest_credentials, reloads.request, clock
        )
        listening.start_soon(
            partial(
                supervisor.keep_notifying,
                status=partial(status_line, health),
                is_healthy=lambda: not stalled(health, clock.monotonic_s()),
            )
        )
        await run_daemon(
            latest,
            clock=clock,
            rng=random.Random(),
            environ=os.environ,
            stop=asked_to_stop.wait,
            reloads=reloads,
            health=health,
            on_running=supervisor.ready,
            strict=strict,
        )
        listening.cancel_scope.cancel()
    supervisor.close()
