"""Settings come from a small file and from flags, and mistakes are named by their place."""

from pathlib import Path

import pytest

from tailer.errors import ConfigError
from tailer.model import Kind, Status
from tailer.simulator import (
    Burst,
    Dialect,
    LineSettings,
    SimulatorSettings,
    Stage,
    TargetSettings,
    load_settings,
)

EXAMPLE = """
seed = 7
rate_per_s = 200
fault_share = 0.15
[dialect]
end_inclusive = true
resolution = "ms"
[lines]
late_share = 0.05
[[burst]]
at_s = 10
lines = 6000
[[target]]
kind = "execution"
id = "e123"
story = "training"
life = [{ at_s = 0, status = "PENDING" }, { at_s = 5, status = "RUNNING" }]
"""


def test_a_file_needs_only_values_that_differ_from_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "world.toml"
    path.write_text(EXAMPLE)

    assert load_settings(path) == SimulatorSettings(
        seed=7,
        rate_per_s=200.0,
        fault_share=0.15,
        dialect=Dialect(end_inclusive=True, resolution="ms"),
        lines=LineSettings(late_share=0.05),
        bursts=(Burst(at_s=10.0, lines=6000),),
        targets=(
            TargetSettings(
                kind=Kind.EXECUTION,
                id="e123",
                story="training",
                life=(
                    Stage(at_s=0.0, status=Status.PENDING),
                    Stage(at_s=5.0, status=Status.RUNNING),
                ),
            ),
        ),
    )


def test_flags_override_single_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "world.toml"
    path.write_text("seed = 7\n[lines]\nlate_share = 0.05\ntwin_share = 0.01\n")
    settings = load_settings(path, {"seed": 8, "lines": {"late_share": 0.5}})

    assert settings.seed == 8
    assert settings.lines == LineSettings(late_share=0.5, twin_share=0.01)


def test_without_file_and_flags_everything_is_as_by_default() -> None:
    assert load_settings() == SimulatorSettings()


@pytest.mark.parametrize(
    ("text", "place", "complaint"),
    [
        ("sed = 1", "top level", "unknown field `sed`"),
        ("seed = 'x'", "seed", "Expected `int`"),
        ("fault_share = 2.0", "fault_share", "<= 1"),
        ("[lines]\nlate_share = -1.0", "lines.late_share", ">= 0"),
        ("[[target]]\nkind = 'pod'", "target[0].kind", "Invalid enum value 'pod'"),
        ("[[target]]\nkind = 'execution'\nstory = 'opera'", "target[0].story", "'opera'"),
        ("[dialect]\nresolution = 's'", "dialect.resolution", "Invalid enum value 's'"),
        ("seed = ", "", "Invalid value"),
    ],
)
def test_a_mistake_is_named_by_its_place(
    tmp_path: Path, text: str, place: str, complaint: str
) -> None:
    path = tmp_path / "world.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_settings(path)

    assert caught.value.message.startswith(f"{path}: {place}")
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[[target]]\nkind='execution'\nid='e123'\n" * 2,
            "target execution/e123 of default appears twice",
        ),
        (
            "[[target]]\nkind='execution'\nlife=[{at_s=5,status='RUNNING'},{at_s=1,status='DEAD'}]",
            r"target\[0\]: life: the stages must follow each other in time",
        ),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "world.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=complaint):
        load_settings(path)


def test_a_missing_file_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(tmp_path / "none.toml")
