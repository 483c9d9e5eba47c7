"""Which file is meant. Pure: whether one exists is asked of the caller."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tailer.errors import ConfigError

VARIABLE: Final = "TAILER_CONFIG"
USUAL_PATHS: Final = (Path("tailer.toml"), Path("/etc/tailer/config.toml"))


def find_config_path(
    given: Path | None, environ: Mapping[str, str], exists: Callable[[Path], bool]
) -> Path:
    """`given` by --config, else by the variable, else the first of the usual ones there is.

    Raises:
        ConfigError: There is none. One that was asked for is never replaced by a usual one.
    """
    named = environ.get(VARIABLE, "")
    wanted = {"--config": given, f"${VARIABLE}": Path(named) if named else None}
    for source, path in wanted.items():
        if path is None:
            continue
        if not exists(path):
            raise ConfigError(f"{source}: there is no file {path}", hint="name one that exists")
        return path
    for path in USUAL_PATHS:
        if exists(path):
            return path
    raise ConfigError(
        f"no configuration: no --config, ${VARIABLE} not set, no ./{USUAL_PATHS[0]}, "
        f"no {USUAL_PATHS[1]}",
        hint="config.example.toml is one to begin with",
    )
