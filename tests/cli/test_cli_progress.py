"""The progress row: shown on a terminal only, and only if no log line can go there."""

import re
from datetime import UTC
from pathlib import Path

import pytest
from support.command_line import TAILER, Serve, World
from support.long import long_values_after
from support.terminal import terminal

from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.logs.pipeline import ReadRequest
from tailer.logs.progress import Progress, progress_line
from tailer.model import Kind, Target
from tailer.simulator.settings import FaultSettings
from tailer.timestamp import NS_PER_S

FIRST, SECOND = (Target("default", Kind.DEPLOYMENT, f"d{number}") for number in (1, 2))
NOON_NS = 1_700_049_600 * NS_PER_S  # 2023-11-15T12:00:00Z
HOUR_NS = 3600 * NS_PER_S
BAR = re.compile(r" *(\d+)% [█░]{20} \d{4}-\d\d-\d\d \d\d:\d\d, [\d,]+ lines, [\d,]+/s")
WIPE = "\r\x1b[K"


@pytest.fixture
def slow(serve: Serve) -> World:
    """Six pages, and a service that thinks for a while about each."""
    faults = FaultSettings(on=("logs",), slow=1.0, slow_s=0.5)
    world = serve(backlog_s=3600.0, faults=faults)
    world.add(rate_per_s=8.0)
    return world


def in_shell(words: str) -> tuple[str, ...]:
    return ("sh", "-c", f"{' '.join(TAILER)} logs {words}")


def test_it_shows_progress_and_clears_its_row(slow: World, tmp_path: Path) -> None:
    command = in_shell(f"--since 1h d1234567 > {tmp_path}/lines")
    with terminal(command=command, environ=slow.environ) as opened:
        code = opened.end()
        raw = opened.raw

    shown = [int(share) for share in BAR.findall(raw)]
    assert code == 0
    assert len(shown) >= 3
    assert shown == sorted(shown)
    assert raw.endswith(WIPE)


@pytest.mark.parametrize(
    "words",
    long_values_after(
        2,
        [
            "--since 1h d1234567",
            "--since 1h d1234567 | cat",
            "--since 1h d1234567 -q > {folder}/lines",
            "--since 1h -f --timeout 3s d1234567 > {folder}/lines",
            "--since 1h d1234567 > {folder}/lines 2> {folder}/notices",
        ],
    ),
    ids=["stdout is the terminal", "stdout may go to a pipe", "-q", "-f", "stderr is a file"],
)
def test_it_is_not_shown_elsewhere(slow: World, tmp_path: Path, words: str) -> None:
    with terminal(command=in_shell(words.format(folder=tmp_path)), environ=slow.environ) as opened:
        opened.end()
        shown = opened.raw + "".join(path.read_text() for path in tmp_path.glob("notices"))

    assert "█" not in shown
    assert "░" not in shown


def test_a_short_read_shows_no_progress(world: World, tmp_path: Path) -> None:
    world.say(world.add(), "one", ago_s=1)
    with terminal(
        command=in_shell(f"d1234567 > {tmp_path}/lines"), environ=world.environ
    ) as opened:
        opened.end()

        assert opened.raw == ""


@pytest.fixture
def progress() -> Progress:
    """One hour of two targets, of which the first is read to its half."""
    made = Progress(Health())
    for target in (FIRST, SECOND):
        request = ReadRequest(target, NOON_NS, NOON_NS + HOUR_NS + 60 * NS_PER_S)
        made.expect(request, now_ns=NOON_NS + HOUR_NS)
    made.health.of(FIRST).covered_ns = NOON_NS + HOUR_NS // 2
    made.health.of(FIRST).totals.lines = 1234
    return made


def line(progress: Progress, *, columns: int = 80) -> str:
    return progress_line(progress, elapsed_s=10.0, timezone=UTC, columns=columns)


def test_its_percentage_covers_the_time_of_all_targets(progress: Progress) -> None:
    assert line(progress) == (
        " 25% █████░░░░░░░░░░░░░░░ 2023-11-15 12:00, 1,234 lines, 123/s, 30s left"
    )


def test_its_time_is_the_position_of_the_slowest_target(progress: Progress) -> None:
    progress.health.of(SECOND).covered_ns = NOON_NS + HOUR_NS * 2 // 3

    assert "2023-11-15 12:30," in line(progress)


def test_a_target_without_logs_does_not_delay_progress(progress: Progress) -> None:
    progress.health.of(SECOND).phase = Phase.WAITING

    assert progress.share == 0.75


def test_a_finished_read_is_100_percent(progress: Progress) -> None:
    for target in (FIRST, SECOND):
        progress.health.of(target).covered_ns = NOON_NS + 2 * HOUR_NS

    assert line(progress) == "100% ████████████████████ 1,234 lines, 123/s, 1s left"


def test_it_never_fills_a_complete_row(progress: Progress) -> None:
    assert len(line(progress, columns=40)) == 39


def test_without_data_it_shows_no_estimate() -> None:
    made = Progress(Health())
    made.expect(ReadRequest(FIRST, NOON_NS, NOON_NS + HOUR_NS), now_ns=NOON_NS + HOUR_NS)

    assert line(made) == "  0% ░░░░░░░░░░░░░░░░░░░░ 2023-11-15 12:00, no lines, 0/s"
