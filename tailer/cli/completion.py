"""`tailer completion`, shell suggestions.

`tailer completion SHELL`: what makes the shell complete commands and flags.

What a shell offers for a word of ours that the service knows better than we do.

Law: whatever fails, nothing is offered and nothing is said; the line being typed stays clean.

Names come from strangers. Shells split and expand what is offered to them, so only those
are offered that mean nothing to any shell.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

import click
from click.shell_completion import CompletionItem, get_completion_class

from tailer.cli.completion_cache import CachedIds, CompletionCache
from tailer.cli.context import credentials_for, groups_for
from tailer.clock import SystemClock
from tailer.errors import TailerError

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


_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]*", re.ASCII)
_HARMFUL_IN_REMARK = re.compile(r"[^A-Za-z0-9 ._/@+-]", re.ASCII)  # fish ends it at a comma
_RUNNING = ("RUNNING", "PENDING", "UNKNOWN")
_KINDS = ("deployment", "execution", "deployments", "executions")

Suggest = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def suggest_targets(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """`deployment/…`, `execution/…`, or bare ids once it cannot be the beginning of those."""
    kind, slash, _ = incomplete.partition("/")
    is_bare = not slash and not any(one.startswith(incomplete) for one in _KINDS)
    if slash and kind not in _KINDS:
        return []
    given = {word.rpartition("/")[2] for word in ctx.params.get("targets") or ()}
    items = []
    for one in _running_first(_workloads(ctx)):
        value = one.id if is_bare else f"{kind}/{one.id}" if slash else one.name
        if (slash and one.kind != kind.removesuffix("s")) or one.id in given:
            continue
        items.append(_item(value, " ".join(filter(None, (one.status, one.scenario)))))
    return [*_offered(items, incomplete)]


def suggest_groups(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    memory = _memory(ctx)
    groups = [] if memory is None else memory.resource_groups()
    return [*_offered((_item(group.id) for group in groups), incomplete)]


def _suggest_values_of(field: str) -> Suggest:
    """The different values of a field, with how many there are; most frequent first."""
    value_of: Callable[[CachedIds], str] = attrgetter(field)

    def suggest(
        ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        known = _workloads(ctx)
        running = Counter(value_of(one) for one in known if one.status in _RUNNING)
        every = Counter(map(value_of, known))
        ordered = sorted(every, key=lambda value: (-running[value], -every[value], value))
        items = (_item(value, f"{running[value]} of {every[value]} running") for value in ordered)
        return [*_offered(items, incomplete)]

    return suggest


suggest_scenarios = _suggest_values_of("scenario")
suggest_executables = _suggest_values_of("executable")
suggest_configurations = _suggest_values_of("configuration")


def _offered(
    items: Iterable[CompletionItem[str]], incomplete: str
) -> Iterator[CompletionItem[str]]:
    for item in items:
        if item.value.startswith(incomplete) and _HARMLESS.fullmatch(item.value):
            yield item


def _item(value: str, remark: str = "") -> CompletionItem[str]:
    return CompletionItem(value, help=_HARMFUL_IN_REMARK.sub("?", remark) or None)


def _running_first(workloads: Iterable[CachedIds]) -> list[CachedIds]:
    newest_first = sorted(workloads, key=lambda one: one.created_at, reverse=True)
    return sorted(newest_first, key=lambda one: one.status not in _RUNNING)


def _workloads(ctx: click.Context) -> list[CachedIds]:
    memory = _memory(ctx)
    return [] if memory is None else memory.workloads()


def _memory(ctx: click.Context) -> CompletionCache | None:
    """Of the client and the groups that the command line means so far."""
    try:
        credentials = credentials_for(ctx.params.get("service_key_file"))
    except TailerError:
        return None
    groups = None
    if not ctx.params.get("all_resource_groups"):
        groups = groups_for(ctx.params.get("resource_groups") or (), credentials)
    return CompletionCache(credentials, groups, environ=os.environ, clock=SystemClock())
