"""`tailer completion SHELL`, and the values that a shell suggests: targets, groups, scenarios.

A failure suggests nothing and prints nothing, so that the line being typed stays intact.
Shells split and expand suggestions, and names come from the service: only names without
a character that is special to any shell are suggested.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

import click
from click.shell_completion import CompletionItem, get_completion_class

from tailer.cli.completion_cache import CompletionCache
from tailer.cli.context import credentials_for, groups_of
from tailer.clock import SystemClock
from tailer.errors import TailerError
from tailer.model import Workload

_EPILOG = """\
\b
Examples:
  tailer completion bash > ~/.local/share/bash-completion/completions/tailer
  tailer completion zsh > "${fpath[1]}/_tailer"
  tailer completion fish > ~/.config/fish/completions/tailer.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of bash, zsh or fish."""
    completion = get_completion_class(shell)
    assert completion is not None
    root = ctx.find_root()
    click.echo(completion(root.command, {}, "tailer", "_TAILER_COMPLETE").source())


_SAFE_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]*", re.ASCII)
_UNSAFE_IN_DESCRIPTION = re.compile(r"[^A-Za-z0-9 ._/@+-]", re.ASCII)  # fish splits at a comma
_RUNNING = ("RUNNING", "PENDING", "UNKNOWN")
_KINDS = ("deployment", "execution", "deployments", "executions")

Suggest = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def suggest_targets(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """`deployment/…`, `execution/…`, or bare ids if the word is no prefix of those."""
    kind, slash, _ = incomplete.partition("/")
    is_bare = not slash and not any(one.startswith(incomplete) for one in _KINDS)
    if slash and kind not in _KINDS:
        return []
    given = {word.rpartition("/")[2] for word in ctx.params.get("targets") or ()}
    items = []
    for one in _running_first(_workloads(ctx)):
        target = one.target
        value = target.id if is_bare else f"{kind}/{target.id}" if slash else target.name
        if (slash and target.kind != kind.removesuffix("s")) or target.id in given:
            continue
        items.append(_item(value, " ".join(filter(None, (one.status, one.scenario_id)))))
    return [*_completing(items, incomplete)]


def suggest_groups(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    cache = _cache(ctx)
    groups = [] if cache is None else cache.resource_groups()
    return [*_completing(map(_item, groups), incomplete)]


def _suggest_values_of(field: str) -> Suggest:
    """The distinct values of a field with their counts, most frequent first."""
    value_of: Callable[[Workload], str] = attrgetter(field)

    def suggest(
        ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        cached = _workloads(ctx)
        running = Counter(value_of(one) for one in cached if one.status in _RUNNING)
        every = Counter(map(value_of, cached))
        ordered = sorted(every, key=lambda value: (-running[value], -every[value], value))
        items = (_item(value, f"{running[value]} of {every[value]} running") for value in ordered)
        return [*_completing(items, incomplete)]

    return suggest


suggest_scenarios = _suggest_values_of("scenario_id")
suggest_executables = _suggest_values_of("executable_id")
suggest_configurations = _suggest_values_of("configuration_name")


def _completing(
    items: Iterable[CompletionItem[str]], incomplete: str
) -> Iterator[CompletionItem[str]]:
    for item in items:
        if item.value.startswith(incomplete) and _SAFE_VALUE.fullmatch(item.value):
            yield item


def _item(value: str, description: str = "") -> CompletionItem[str]:
    return CompletionItem(value, help=_UNSAFE_IN_DESCRIPTION.sub("?", description) or None)


def _running_first(workloads: Iterable[Workload]) -> list[Workload]:
    newest_first = sorted(workloads, key=lambda one: one.created_at, reverse=True)
    return sorted(newest_first, key=lambda one: one.status not in _RUNNING)


def _workloads(ctx: click.Context) -> list[Workload]:
    cache = _cache(ctx)
    return [] if cache is None else cache.workloads()


def _cache(ctx: click.Context) -> CompletionCache | None:
    """The cache for the credentials and groups of the command line so far."""
    try:
        credentials = credentials_for(ctx.params.get("service_key_file"))
    except TailerError:
        return None
    groups = groups_of(ctx.params, credentials)
    return CompletionCache(credentials, groups, environ=os.environ, clock=SystemClock())
