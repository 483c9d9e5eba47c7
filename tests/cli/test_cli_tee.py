"""`--tee`: the same lines in a file."""

import signal
import sys
from pathlib import Path

import msgspec
import pytest
from support.command_line import World, shell
from support.long import long_values_after

LOGS = ("logs", "deployment/d1234567")
MUCH = [f"{number} {'x' * 1000}" for number in range(400)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.log"


def test_the_file_has_the_same_lines(world: World, copy: Path) -> None:
    world.say(world.add(), *MUCH, ago_s=5)

    ended = world.run(*LOGS, "-o", "logfmt", "--tee", str(copy))

    assert (ended.code, len(ended.lines)) == (0, 400)
    assert copy.read_text() == ended.out


def test_the_file_has_its_own_format_and_never_color(world: World, copy: Path) -> None:
    world.say(world.add(), "one", ago_s=5, stream="stderr")
    words = (*LOGS, "-t", "-H", "one", "--color", "always", "--tee", str(copy))

    world.run(*words)
    plain = copy.read_text()
    world.run(*words, "--tee-format", "json")

    assert plain.endswith(" one\n")
    assert "\x1b" not in plain
    assert msgspec.json.decode(copy.read_bytes())["msg"] == "one"


def test_the_file_is_truncated_first(world: World, copy: Path) -> None:
    world.say(world.add(), "new", ago_s=5)
    copy.write_text("old and longer\n")

    world.run(*LOGS, "--tee", str(copy))

    assert copy.read_text() == "new\n"


def test_a_flag_mistake_leaves_the_old_file_unchanged(world: World, copy: Path) -> None:
    copy.write_text("old\n")

    ended = world.run("logs", "pod/d1", "--tee", str(copy))

    assert (ended.code, copy.read_text()) == (2, "old\n")


@pytest.mark.parametrize("place", ["no-such-folder/copy.log", "."])
def test_an_unwritable_file_is_reported_before_any_request(
    world: World, tmp_path: Path, place: str
) -> None:
    world.add()

    ended = world.run(*LOGS, "--tee", str(tmp_path / place))

    assert ended.code == 5
    assert f"--tee {tmp_path / place} cannot be written" in ended.complaint
    assert world.requests("token") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_costs_standard_output_no_line(world: World) -> None:
    world.say(world.add(), *MUCH, ago_s=5)

    ended = world.run(*LOGS, "--tee", "/dev/full")

    assert (ended.code, ended.lines) == (5, MUCH)
    assert ended.err.count("--tee /dev/full cannot be written: No space left on device") == 1


def test_it_ends_when_the_reader_of_standard_output_leaves(world: World, copy: Path) -> None:
    world.say(world.add(), *[f"{number}" for number in range(1000)], ago_s=5)

    ended = shell(
        f"$tailer logs -q -f deployment/d1234567 --tee {copy} | head -1",
        environ=world.environ,
        timeout_s=10,
    )

    assert (ended.code, ended.out, ended.err) == (0, "0\n", "")
    assert copy.read_text() == "".join(f"{number}\n" for number in range(1000))


def test_a_signal_leaves_whole_lines(world: World, copy: Path) -> None:
    world.say(world.add(), *MUCH, ago_s=5)

    with world.running(*LOGS, "-f", "--tee", str(copy)) as process:
        process.wait_for(f"{MUCH[-1]}\n")
        process.process.send_signal(signal.SIGTERM)
        ended = process.end(timeout_s=5)

    assert (ended.code, copy.read_text()) == (143, ended.out)


def test_the_file_gets_at_most_max_lines(world: World, copy: Path) -> None:
    world.say(world.add(), *MUCH, ago_s=5)

    ended = world.run(*LOGS, "--max-lines", "7", "--tee", str(copy))

    assert (len(ended.lines), copy.read_text()) == (7, ended.out)


def test_a_named_pipe_may_be_the_file(world: World) -> None:
    world.say(world.add(), "one", "two", ago_s=5)

    ended = shell("$tailer logs deployment/d1234567 --tee >(cat >&2)", environ=world.environ)

    assert (ended.code, ended.out, ended.err) == (0, "one\ntwo\n", "one\ntwo\n")


@pytest.mark.parametrize(
    "words",
    long_values_after(
        2,
        [
            ("--tee", "-"),
            ("--summary", "-"),
            ("--tee", "a", "--summary", "a"),
            ("--tee-format", "raw"),
        ],
    ),
)
def test_contradictory_flags_are_rejected(world: World, words: tuple[str, ...]) -> None:
    ended = world.run(*LOGS, *words)

    assert ended.code == 2
    assert ended.complaint.startswith(f"tailer: {words[0]}")


@pytest.mark.parametrize(
    "way", long_values_after(1, ["{copy}", "/dev/stdout", "{copy.parent}/link.log"])
)
def test_the_file_of_standard_output_is_rejected_and_kept(
    world: World, copy: Path, way: str
) -> None:
    world.say(world.add(), "one", ago_s=5)
    copy.write_text("old\n")
    (copy.parent / "link.log").symlink_to(copy)

    ended = shell(
        f"$tailer logs deployment/d1234567 --tee {way.format(copy=copy)} >> {copy}",
        environ=world.environ,
    )

    assert (ended.code, copy.read_text()) == (2, "old\n")
    assert "is the file that standard output goes to" in ended.complaint


def test_the_file_of_the_summary_is_rejected_also_through_links(world: World, copy: Path) -> None:
    link = copy.with_name("link.log")
    link.symlink_to(copy)

    ended = world.run(*LOGS, "--tee", str(link), "--summary", str(copy))

    assert (ended.code, copy.exists()) == (2, False)
    assert "--tee and --summary are both" in ended.complaint
