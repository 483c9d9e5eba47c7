"""The command that follows a target, as one would type it. Pure."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from tailer.model import Target

_GROUP_FLAGS = ("-g", "--resource-group")
_ALL_GROUPS_FLAGS = ("-A", "--all-resource-groups")


def follow_command(
    target: Target, *, default_group: str | None, service_key_file: Path | None = None
) -> str:
    """`tailer logs -f deployment/d1`, with what it takes to mean the same again.

    `default_group` is the resource group that is meant when none is named.
    """
    words = ["tailer", "logs", "-f"]
    if service_key_file is not None:
        words += ["--service-key-file", str(service_key_file)]
    if target.resource_group != default_group:
        words += ["-g", target.resource_group]
    return shlex.join([*words, target.name])


def command_again(
    words: Sequence[str], targets: Sequence[Target], *, resource_groups: Sequence[str] | None
) -> str:
    """The command of `words`, with `targets` named; in these groups if they are not None."""
    if resource_groups is not None:
        words = _without_groups(words)
        words += [word for group in resource_groups for word in ("-g", group)]
    return shlex.join(["tailer", *words, *(target.name for target in targets)])


def _without_groups(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    is_value = False
    for word in words:
        flag, _, value = word.partition("=")
        if is_value or word in _ALL_GROUPS_FLAGS:
            is_value = False
        elif flag in _GROUP_FLAGS:
            is_value = not value
        else:
            kept.append(word)
    return kept
