"""`tailer logs -f` on a terminal offers what is running."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.cells import cell_len
from support.command_line import Serve, World, lived
from support.terminal import CTRL_C, CTRL_D, Terminal, terminal

from tailer.model import Kind, Status

QUESTION = "a text to filter:"


@contextmanager
def asked(world: World, *words: str, columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    """A terminal in which the question has been asked."""
    command = ("logs", "-f", *words)
    with terminal(*command, environ=world.environ, columns=columns, lines=lines) as opened:
        opened.wait_for(QUESTION)
        yield opened


def rows(screen: str) -> list[list[str]]:
    """The words of each numbered row."""
    split = [line.split() for line in screen.splitlines()]
    return [words for words in split if words and words[0].isdecimal()]


@pytest.fixture
def populated(world: World) -> World:
    """Two things run, one waits, and two have ended."""
    world.add(Kind.DEPLOYMENT, "d1234567", life=lived((-7200, Status.RUNNING)))
    world.add(Kind.EXECUTION, "e1234567", life=lived((-300, Status.RUNNING)), scenario_id="prices")
    world.add(Kind.EXECUTION, "e2222222", life=lived((-10, Status.PENDING)))
    world.add(Kind.DEPLOYMENT, "d0000000", life=lived((-50, Status.RUNNING), (-5, Status.STOPPED)))
    world.add(Kind.EXECUTION, "e0000000", life=lived((-50, Status.RUNNING), (-5, Status.DEAD)))
    return world


def test_it_lists_running_and_pending_targets_newest_first(populated: World) -> None:
    with asked(populated) as opened:
        shown = [row[:3] for row in rows(opened.screen)]

    assert shown == [
        ["1", "execution/e2222222", "PENDING"],
        ["2", "execution/e1234567", "RUNNING"],
        ["3", "deployment/d1234567", "RUNNING"],
    ]


def test_a_number_follows_its_row_and_prints_the_command(populated: World) -> None:
    target = populated.add(Kind.DEPLOYMENT, "d7777777", life=lived((-1, Status.RUNNING)))
    populated.say(target, "hello", ago_s=1)

    with asked(populated, "--max-lines", "1", "-e", "a b") as opened:
        opened.type("1\n")
        code = opened.end()

    assert (code, "hello\n" in opened.screen) == (0, True)
    assert "\ntailer logs -f --max-lines 1 -e 'a b' deployment/d7777777\n" in opened.screen


def test_several_numbers_follow_several(populated: World) -> None:
    with asked(populated) as opened:
        opened.type("2, 3\n")
        opened.wait_for(": following", times=2)

    assert "tailer logs -f execution/e1234567 deployment/d1234567\n" in opened.screen


def test_a_text_filters_the_list_and_a_selects_all(populated: World) -> None:
    with asked(populated) as opened:
        opened.type("PRICES\n")
        opened.wait_for(QUESTION, times=2)
        opened.type("a\n")
        opened.wait_for(": following")

    assert "tailer logs -f execution/e1234567\n" in opened.screen


def test_a_pasted_id_needs_no_number(populated: World) -> None:
    with asked(populated) as opened:
        opened.type("d1234567\n")
        opened.wait_for(": following")

    assert "tailer logs -f deployment/d1234567\n" in opened.screen


@pytest.mark.parametrize(
    ("answer", "remark"),
    [("4", "4 is not between 1 and 3"), ("nowhere", "no running target contains 'nowhere'")],
)
def test_it_asks_again_after_invalid_input(populated: World, answer: str, remark: str) -> None:
    with asked(populated) as opened:
        opened.type(f"{answer}\n")
        screen = opened.wait_for(QUESTION, times=2)

    assert f"\n{remark}\n" in screen


@pytest.mark.parametrize(("answer", "code"), [("\n", 2), (CTRL_D, 2), (CTRL_C, 130)])
def test_it_can_be_left(populated: World, answer: str, code: int) -> None:
    with asked(populated) as opened:
        opened.type(answer)
        left = opened.end()

    assert left == code
    assert opened.screen.endswith("\n")
    assert "Traceback" not in opened.screen


def test_it_does_not_ask_in_a_pipe(populated: World) -> None:
    ended = populated.run("logs", "-f")

    assert (ended.code, ended.out) == (2, "")
    assert "no TARGET given" in ended.complaint


def test_without_running_targets_it_names_the_ended_ones(world: World) -> None:
    ended = lived((-50, Status.RUNNING), (-5, Status.DEAD))
    world.add(Kind.EXECUTION, "e1111111", life=ended)
    world.add(Kind.EXECUTION, "e2222222", life=ended)

    with terminal("logs", "-f", environ=world.environ, columns=200) as opened:
        code = opened.end()

    assert code == 4
    assert "nothing is running in resource group default" in opened.screen
    assert "2 executions of scenario churn (2 DEAD)" in opened.screen


def test_only_the_newest_of_many_targets_are_listed(world: World) -> None:
    for number in range(60):
        world.add(name=f"d{number:07}", life=lived((-100.0 - number, Status.RUNNING)))

    with asked(world, lines=100) as opened:
        shown = [row[1] for row in rows(opened.screen)]

    assert shown == [f"deployment/d{number:07}" for number in range(50)]
    assert "… and 10 more: type a text to filter" in opened.screen


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_each_row_fits_the_terminal_with_any_name(world: World, columns: int) -> None:
    world.add(name="d" * 60, scenario_id="\x1b[2J\u202e" + "需要予測" * 20, executable_id="x" * 200)

    with asked(world, columns=columns) as opened:
        table = opened.raw.partition("follow which?")[0]

    assert len(table.splitlines()) == 2
    assert max(map(cell_len, opened.screen.splitlines()[:2])) <= columns
    assert "\x1b[2J" not in table
    assert "\u202e" not in table


def test_a_low_terminal_shows_the_newest_rows(world: World) -> None:
    for number in range(30):
        world.add(name=f"d{number:07}")

    with asked(world, lines=14) as opened:
        shown = rows(opened.screen)

    assert len(shown) == 10


def test_a_denied_group_is_reported_and_the_others_are_listed(serve: Serve) -> None:
    world = serve(forbidden_resource_groups=("team-a",))
    world.add()

    with asked(world, "-g", "default", "-g", "team-a", columns=300) as opened:
        opened.type("1\n")
        opened.wait_for(": following")

    assert "s of resource group team-a: 403 Forbidden" in opened.screen
    assert "\ntailer logs -f -g default deployment/d1234567\n" in opened.screen


def test_groups_are_shown_and_used_if_there_are_several(populated: World) -> None:
    populated.add(name="d9999999", resource_group="team-a", life=lived((-1, Status.RUNNING)))

    with asked(populated, "-A") as opened:
        first = rows(opened.screen)[0]
        opened.type("1\n")
        opened.wait_for(": following")

    assert first[:3] == ["1", "team-a", "deployment/d9999999"]
    assert "\ntailer logs -f -g team-a deployment/d9999999\n" in opened.screen


def test_a_flag_mistake_is_reported_before_the_question(world: World) -> None:
    with terminal("logs", "-f", "-i", "(", environ=world.environ) as opened:
        code = opened.end()

    assert code == 2
    assert "is not a regular expression" in opened.screen


def test_quiet_asks_without_notices(populated: World) -> None:
    with asked(populated, "-q", "--timeout", "1s") as opened:
        opened.type("2\n")
        opened.end()

    assert "\ntailer logs" not in opened.screen
