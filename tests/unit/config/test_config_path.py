from pathlib import Path

import pytest

from tailer.config import find_config_path
from tailer.errors import ConfigError

HERE = Path("tailer.toml")
SYSTEM = Path("/etc/tailer/config.toml")
MINE = Path("/home/me/mine.toml")
OTHER = Path("/home/me/other.toml")


def found(*there: Path, given: Path | None = None, variable: str | None = None) -> Path:
    environ = {} if variable is None else {"TAILER_CONFIG": variable}
    return find_config_path(given, environ, lambda path: path in there)


def test_the_flag_precedes_everything() -> None:
    assert found(MINE, OTHER, HERE, SYSTEM, given=MINE, variable=str(OTHER)) == MINE


def test_the_variable_precedes_the_default_paths() -> None:
    assert found(OTHER, HERE, SYSTEM, variable=str(OTHER)) == OTHER


def test_the_working_directory_precedes_etc() -> None:
    assert found(HERE, SYSTEM) == HERE


def test_etc_is_the_last_path() -> None:
    assert found(SYSTEM) == SYSTEM


def test_an_empty_variable_is_none() -> None:
    assert found(SYSTEM, variable="") == SYSTEM


def test_a_named_file_is_never_replaced_by_a_default_path() -> None:
    with pytest.raises(ConfigError, match=r"--config: /home/me/mine\.toml does not exist"):
        found(HERE, SYSTEM, given=MINE)


def test_a_variable_with_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\$TAILER_CONFIG: /nowhere does not exist"):
        found(HERE, variable="/nowhere")


def test_without_a_file_the_error_names_the_searched_paths() -> None:
    with pytest.raises(ConfigError) as refusal:
        found()

    assert refusal.value.message == (
        "no configuration: --config and $TAILER_CONFIG are not set, and neither ./tailer.toml "
        "nor /etc/tailer/config.toml exists"
    )
