"""Help and version texts, and their response time."""

import resource
import subprocess
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from support.command_line import TAILER, World, run, shell

from tailer.cli.main import tailer

QUICK_CPU_S = 0.25
COMMANDS = ["logs", "list", "demo", "simulate", "completion"]


def nowhere(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_s_of_help() -> float:
    before_s = cpu_s_of_children()
    subprocess.run([*TAILER, "--help"], stdout=subprocess.DEVNULL, check=True)
    return cpu_s_of_children() - before_s


def test_help_is_quick() -> None:
    best_s = min(cpu_s_of_help() for _ in range(3))

    assert best_s < QUICK_CPU_S


def test_help_names_every_command(tmp_path: Path) -> None:
    ended = run("--help", environ=nowhere(tmp_path))

    assert (ended.code, ended.err) == (0, "")
    assert [name for name in COMMANDS if f"\n  {name} " not in ended.out] == []


def test_without_arguments_it_prints_its_help(tmp_path: Path) -> None:
    ended = run(environ=nowhere(tmp_path))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == run("--help", environ=nowhere(tmp_path)).out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(tmp_path: Path, command: str) -> None:
    ended = run(command, "-h", environ=nowhere(tmp_path))

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(f"tailer {command}") > 1


@pytest.mark.parametrize("command", ["", *tailer.list_commands(click.Context(tailer))])
def test_help_fits_a_terminal_of_80_columns(tmp_path: Path, command: str) -> None:
    ended = run(*filter(None, [command]), "--help", environ=nowhere(tmp_path) | {"COLUMNS": "80"})

    assert [line for line in ended.out.splitlines() if len(line) > 80] == []


def test_the_help_of_logs_lists_the_exit_codes(tmp_path: Path) -> None:
    ended = run("logs", "--help", environ=nowhere(tmp_path))

    for code in (0, 2, 3, 4, 5, 6, 10, 11, 124, 130, 143):
        assert f" {code} " in ended.out.partition("Exit codes:")[2]


def test_the_version_equals_the_version_of_the_distribution(tmp_path: Path) -> None:
    ended = run("--version", environ=nowhere(tmp_path))

    assert ended.out == f"tailer {version('aicore-tailer')}\n"


@pytest.mark.parametrize(
    ("name", "mark"),
    [("bash", "complete -o nosort"), ("zsh", "#compdef tailer"), ("fish", "complete --no-files")],
)
def test_there_is_a_completion_for_each_shell(tmp_path: Path, name: str, mark: str) -> None:
    ended = run("completion", name, environ=nowhere(tmp_path))

    assert (ended.code, ended.err) == (0, "")
    assert mark in ended.out


def test_the_completion_script_is_valid_bash(world: World) -> None:
    ended = shell("$tailer completion bash | bash -n", environ=world.environ)

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [("tailer lo", "logs"), ("tailer logs --foll", "--follow"), ("tailer list -o j", "json")],
)
def test_commands_flags_and_values_are_completed(
    tmp_path: Path, words: str, suggestion: str
) -> None:
    completing = {
        "_TAILER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }

    ended = run(environ=nowhere(tmp_path), more_environ=completing)

    assert ended.out.split(",")[1].strip() == suggestion
