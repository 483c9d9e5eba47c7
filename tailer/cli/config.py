"""`tailer config`: print the example configuration, which describes every key."""

from importlib.resources import files

import click

from tailer.cli.streams import open_stdout

_EPILOG = """\
\b
Examples:
  tailer config > tailer.toml                 a configuration to edit
  tailer config | grep -B3 lateness_s         what a key means
"""


@click.command("config", epilog=_EPILOG)
def config_command() -> None:
    """Print a commented example configuration for `tailer run`.

    It has every key with its unit, range and default.
    """
    open_stdout()
    click.echo(files("tailer.config").joinpath("example.toml").read_text("utf-8"), nl=False)
