"""`tailer simulate`: serve a simulated AI Core over HTTP."""

import os
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec

from tailer.cli.options import DURATION, file_option, option
from tailer.clock import SystemClock
from tailer.errors import ConfigError
from tailer.logs.stops import signaled
from tailer.simulator.settings import SimulatorSettings, load_settings
from tailer.simulator.simulator import Simulator

_KEEP_S = 6 * 3600.0  # retention of lines, unless a settings file sets it

_EPILOG = """\
\b
Examples:
  tailer simulate > sim.env              on 127.0.0.1:8075; then: . ./sim.env
  tailer simulate --fault-share 0.15     with faults of every kind
  tailer simulate --config world.toml    with your own targets
"""


@click.command("simulate", epilog=_EPILOG)
@file_option(
    "--config",
    show_envvar=True,
    variable="TAILER_SIMULATE_CONFIG",  # TAILER_CONFIG belongs to `run`
    help="Settings in TOML; flags take precedence.",
)
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8075,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@option("--seed", type=int, help="The same seed gives the same lines.  [default: 1]")
@option(
    "--rate", type=float, metavar="N", help="Lines per second, all targets together.  [default: 20]"
)
@option("--late-share", type=float, metavar="SHARE", help="Lines that appear late.  [default: 0]")
@option("--max-lateness", type=DURATION, help="The longest delay of a late line.  [default: 10s]")
@option(
    "--twin-share", type=float, metavar="SHARE", help="Lines that are written twice.  [default: 0]"
)
@option(
    "--fault-share",
    type=float,
    metavar="SHARE",
    help="Requests that fail, with all kinds of faults.  [default: 0]",
)
@option("--token-lifetime", type=DURATION, help="Lifetime of an access token.  [default: 12h]")
def simulate_command(*, config: Path | None, host: str, port: int, **flags: Any) -> int:
    """Run a simulated AI Core for tailer or the official SDK.

    Prints the AICORE_* variables of the simulator on stdout, then serves until interrupted.
    """
    settings = load_settings(config, _overrides(flags))
    if config is None:
        settings = msgspec.structs.replace(settings, keep_s=_KEEP_S)
    return anyio.run(_serve, settings, host, port)


def _overrides(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, in the structure of the settings file."""
    overrides: dict[str, Any] = {"lines": {}, "token": {}}
    for flag, section, key in (
        ("seed", "", "seed"),
        ("rate", "", "rate_per_s"),
        ("fault_share", "", "fault_share"),
        ("late_share", "lines", "late_share"),
        ("max_lateness", "lines", "max_lateness_s"),
        ("twin_share", "lines", "twin_share"),
    ):
        if flags[flag] is not None:
            (overrides[section] if section else overrides)[key] = flags[flag]
    if flags["token_lifetime"] is not None:
        overrides["token"]["expires_in_s"] = max(1, round(flags["token_lifetime"]))
    return overrides


async def _serve(settings: SimulatorSettings, host: str, port: int) -> int:
    simulator = Simulator(settings, SystemClock())
    async with AsyncExitStack() as running:
        try:
            url = await running.enter_async_context(simulator.serving(host, port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ConfigError(
                f"cannot listen on {host}:{port}: {reason}",
                hint="choose another --host or --port",
            ) from error
        for name, value in simulator.credentials(url).items():
            click.echo(f"export {name}={shlex.quote(value)}")
        click.echo(f"# simulating at {url} until interrupted; next: tailer list", err=True)
        return (await signaled()).exit_code
