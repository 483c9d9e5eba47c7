"""Output of `tailer logs`: selection, order and format of the lines."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.command_line import Serve, World
from support.long import long_after

from tailer.clock import SystemClock
from tailer.model import Kind
from tailer.simulator import Burst
from tailer.timestamp import NS_PER_S, format_ns

LOGS = ("logs", "deployment/d1234567")
_FIELDS = ("timestamp", "pod", "container", "stream", "msg")


def contents(entries: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Of shown entries or of printed JSON lines, which lack the messages' last newline."""
    return [tuple(str(entry.get(name)).removesuffix("\n") for name in _FIELDS) for entry in entries]


def now_ns() -> int:
    return SystemClock().wall_ns()


@pytest.mark.long
def test_a_backlog_of_50000_lines_is_exact_and_in_order(serve: Serve) -> None:
    backlog = Burst(at_s=-1000, lines=50_000, spread_ns=900 * NS_PER_S)
    world = serve(bursts=(backlog,), backlog_s=1200)
    target = world.add()

    ended = world.run(*LOGS, "-o", "json")

    assert len(ended.lines) == 50_000
    assert contents(ended.json) == contents(world.shown(target))


def test_lines_of_the_current_second_are_shown(world: World) -> None:
    """The service states its time in whole seconds, cut; what it shows is not cut."""
    world.say(world.add(), "just now")

    ended = world.run(*LOGS)

    assert ended.lines == ["just now"]


def test_tail_prints_the_last_lines_of_each_target(world: World) -> None:
    world.say(world.add(), "a1", "a2", "a3", ago_s=10)
    world.say(world.add(Kind.EXECUTION, "e1234567"), "b1", "b2", "b3", ago_s=20)

    ended = world.run("logs", "-o", "raw", "--tail", "2", "d1234567", "e1234567")

    assert sorted(ended.lines) == ["a2", "a3", "b2", "b3"]


def test_tail_looks_back_to_the_beginning_of_the_target(serve: Serve) -> None:
    world = serve(backlog_s=20_000)
    world.say(world.add(), "old", "older than an hour", ago_s=7200)

    ended = world.run(*LOGS, "--tail", "1")

    assert ended.lines == ["older than an hour"]


def test_tail_and_follow_continue_after_the_last_lines(world: World) -> None:
    target = world.add()
    world.say(target, "one", "two", "three", ago_s=1)

    with world.running(*LOGS, "-q", "-f", "--tail", "1") as process:
        process.wait_for("three\n")
        world.say(target, "four")
        output = process.wait_for("four\n")

    assert output == "three\nfour\n"


def test_the_default_of_since_is_an_hour(world: World) -> None:
    target = world.add()
    world.say(target, "too old", ago_s=3700)
    world.say(target, "young enough", ago_s=3500)

    ended = world.run(*LOGS)

    assert ended.lines == ["young enough"]


def test_since_and_until_are_ages_or_dates(world: World) -> None:
    target = world.add()
    for ago_s in (50, 40, 30, 20, 10):
        world.say(target, f"{ago_s} s ago", ago_s=ago_s)
    since = format_ns(now_ns() - 45 * NS_PER_S)

    ended = world.run(*LOGS, "--since", since, "--until", "15s")

    assert ended.lines == ["40 s ago", "30 s ago", "20 s ago"]


def test_without_lines_the_searched_range_is_reported(world: World) -> None:
    world.add()

    ended = world.run(*LOGS)

    assert (ended.code, ended.out) == (0, "")
    assert "no lines in the last hour; --since 1d looks back further" in ended.err


FILTERS = {
    "include": (["-i", "GET", "-i", "POST"], ["GET /", "POST /"]),
    "exclude": (["-e", "/$"], ["main:err", "café ☕"]),
    "container": (["-c", "^proxy$"], ["POST /"]),
    "pod": (["--pod", "2$"], ["main:err"]),
    "stream": (["--stream", "stderr"], ["main:err"]),
    "all together": (["-i", "/", "-e", "GET", "-c", "proxy"], ["POST /"]),
    "of several bytes": (["-i", "caf. ☕"], ["café ☕"]),
}


@pytest.mark.parametrize(("flags", "lines"), long_after(3, FILTERS.values()), ids=FILTERS.keys())
def test_filters_choose_lines(world: World, flags: list[str], lines: list[str]) -> None:
    target = world.add()
    world.say(target, "GET /", ago_s=9)
    world.say(target, "POST /", ago_s=8, container="proxy")
    world.say(target, "main:err", ago_s=7, pod="pod-2", stream="stderr")
    world.say(target, "café ☕", ago_s=6)

    ended = world.run(*LOGS, "-o", "raw", *flags)

    assert ended.lines == lines


FORMS = {
    "text": ([], 'two "words"'),
    "raw": (["-o", "raw"], 'two "words"'),
    "json": (
        ["-o", "json"],
        (
            '{"timestamp":"<time>","resource_group":"default","target":"deployment/d1234567",'
            '"pod":"pod-1","container":"main","stream":"stderr","msg":"two \\"words\\""}'
        ),
    ),
    "logfmt": (
        ["-o", "logfmt"],
        (
            "ts=<time> group=default target=deployment/d1234567 pod=pod-1 container=main "
            'stream=stderr msg="two \\"words\\""'
        ),
    ),
    "template": (
        ["--template", "{timestamp} {kind}:{id} {{{stream}}} {pod:8}|{msg}"],
        '<time> deployment:d1234567 {stderr} pod-1   |two "words"',
    ),
}


@pytest.mark.parametrize(("flags", "line"), FORMS.values(), ids=FORMS.keys())
def test_a_line_has_the_selected_format(world: World, flags: list[str], line: str) -> None:
    target = world.add()
    world.say(target, 'two "words"\n', ago_s=5, stream="stderr")
    stamp = world.shown(target)[0]["timestamp"]

    ended = world.run(*LOGS, *flags)

    assert ended.out == line.replace("<time>", stamp) + "\n"


def test_timestamps_are_in_the_selected_zone(world: World) -> None:
    target = world.add()
    world.say(target, "one", ago_s=5)
    stamp = world.shown(target)[0]["timestamp"]

    ended = world.run(*LOGS, "-t", "--timezone", "UTC")

    assert ended.lines[0].startswith(stamp[:10])
    assert stamp[11:23] in ended.lines[0]


def test_colors_mark_matches(world: World) -> None:
    world.say(world.add(), "needle in hay", ago_s=5)

    ended = world.run(*LOGS, "--color", "always", "-H", "needle")

    assert "\x1b[" in ended.out.partition("needle")[0]


def test_a_pipe_gets_no_colors_and_no_escapes(world: World) -> None:
    world.say(world.add(), "red \x1b[31malert\x1b[0m", ago_s=5)

    ended = world.run(*LOGS, "-H", "alert")

    assert ended.lines == ["red \x1b[31malert\x1b[0m"]


ODD: list[dict[str, Any]] = [
    {},
    {"pod": "no message"},
    {"msg": None},
    {"pod": None, "container": None, "stream": None, "msg": None},
    {"msg": "unknown fields", "node": {"name": "n", "cpus": [1, 2.50]}, "level": None},
]


def test_extended_entries_are_printed_completely(world: World) -> None:
    target, first_ns = world.add(), now_ns() - 5 * NS_PER_S
    times_ns = range(first_ns, first_ns + len(ODD))
    entries = [
        {"timestamp": format_ns(at_ns), **odd} for at_ns, odd in zip(times_ns, ODD, strict=True)
    ]
    for entry, at_ns in zip(entries, times_ns, strict=True):
        world.add_entry(target, entry, at_ns=at_ns)

    ended = world.run(*LOGS, "-o", "json")

    ours = {"resource_group": "default", "target": "deployment/d1234567"}
    assert ended.json == [entry | ours for entry in entries]


def test_an_unknown_field_with_a_reserved_name_keeps_its_value(world: World) -> None:
    target, at_ns = world.add(), now_ns() - 5 * NS_PER_S
    world.add_entry(target, {"timestamp": format_ns(at_ns), "target": "theirs"}, at_ns=at_ns)

    ended = world.run(*LOGS, "-o", "json")

    assert ended.json[0]["target_"] == "theirs"
