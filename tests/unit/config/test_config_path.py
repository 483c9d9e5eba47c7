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


def test_the_flag_comes_before_everything() -> None:
    assert found(MINE, OTHER, HERE, SYSTEM, given=MINE, variable=str(OTHER)) == MINE


def test_the_variable_comes_before_the_usual_places() -> None:
    assert found(OTHER, HERE, SYSTEM, variable=str(OTHER)) == OTHER


def test_the_working_directory_comes_before_the_system() -> None:
    assert found(HERE, SYSTEM) == HERE


def test_the_system_comes_last() -> None:
    assert found(SYSTEM) == SYSTEM


def test_an_empty_variable_is_none() -> None:
    assert found(SYSTEM, variable="") == SYSTEM


def test_a_file_that_was_asked_for_is_never_replaced_by_another() -> None:
    with pytest.raises(ConfigError, match=r"--config: /home/me/mine\.toml does not exist"):
        found(HERE, SYSTEM, given=MINE)


def test_a_variable_that_leads_nowhere_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\$TAILER_CONFIG: /nowhere does not exist"):
        found(HERE, variable="/nowhere")


def test_when_there_is_none_it_is_said_where_it_was_looked_for() -> None:
    with pytest.raises(ConfigError) as refusal:
        found()

    assert refusal.value.message == (
        "no configuration: --config and $TAILER_CONFIG are not set, and neither ./tailer.toml "
        "nor /etc/tailer/config.toml exists"
    )
