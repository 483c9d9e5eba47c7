"""`tailer completion SHELL`: what makes the shell complete commands and flags."""

import click
from click.shell_completion import get_completion_class

_EPILOG = """\
\b
bash:  tailer completion bash > ~/.local/share/bash-completion/completions/tailer
zsh:   tailer completion zsh > "${fpath[1]}/_tailer"
fish:  tailer completion fish > ~/.config/fish/completions/tailer.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    completion = get_completion_class(shell)
    assert completion is not None
    root = ctx.find_root()
    click.echo(completion(root.command, {}, "tailer", "_TAILER_COMPLETE").source())
