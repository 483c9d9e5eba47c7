"""Settings from a small TOML file and from flags, with every mistake named by its place."""

import itertools
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tailer.errors import ConfigError
from tailer.simulator.settings import SimulatorSettings, TargetSettings


def load_settings(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> SimulatorSettings:
    """The settings of the file, if any, with `overrides` laid over it, section by section.

    `overrides` has the shape of the file: `{"seed": 7, "lines": {"late_share": 0.05}}`.

    Raises:
        ConfigError: Unreadable, not TOML, an unknown key, or an impossible value.
    """
    document = {} if path is None else _read(path)
    source = "simulator settings" if path is None else str(path)
    for key, value in (overrides or {}).items():
        below = document.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            document[key] = {**below, **value}
        else:
            document[key] = value
    try:
        settings = msgspec.convert(document, SimulatorSettings)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        where = place.removeprefix(".").removesuffix("`")
        raise ConfigError(f"{source}: {where or 'top level'}: {what}") from error
    for complaint in _contradictions(settings):
        raise ConfigError(f"{source}: {complaint}")
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: {error}") from error


def _contradictions(settings: SimulatorSettings) -> list[str]:
    targets = settings.targets or ()
    counted = Counter((target.resource_group, target.kind, target.id) for target in targets)
    twice = [name for name, count in counted.items() if count > 1 and name[-1]]
    complaints = [f"target {kind}/{name} of {group} appears twice" for group, kind, name in twice]
    return complaints + [
        f"target[{number}].life: the stages must follow each other in time"
        for number, target in enumerate(targets)
        if not _in_order(target)
    ]


def _in_order(target: TargetSettings) -> bool:
    times = [stage.at_s for stage in target.life]
    return all(earlier < later for earlier, later in itertools.pairwise(times))
