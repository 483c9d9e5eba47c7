from pathlib import Path

import click
import pytest

from tailer.cli.main import tailer
from tailer.config import Config, FileSection, parse_config
from tailer.config.mistakes import SECRET_KEY, USERINFO
from tailer.config.settings import SECTIONS, header, variable_for
from tailer.errors import ConfigError

FILE = """\
[poll]
interval_s = 1.0
[[watch]]
targets = ["d1"]
[[sink]]
kind = "file"
path = "/logs/{id}.log"
"""


def parsed(environ: dict[str, str], text: str = FILE) -> Config:
    return parse_config(text, name="tailer.toml", environ=environ)


def error_text(environ: dict[str, str], text: str = FILE) -> str:
    with pytest.raises(ConfigError) as refusal:
        parsed(environ, text)
    return str(refusal.value)


def test_a_variable_wins_over_the_file() -> None:
    assert parsed({"TAILER_POLL__INTERVAL_S": "2.5"}).poll.pace.interval_s == 2.5


def test_a_variable_sets_what_the_file_does_not() -> None:
    config = parsed({"TAILER_AICORE__SERVICE_KEY_FILE": "/run/secrets/key.json"})

    assert config.aicore.service_key_file == Path("/run/secrets/key.json")


def test_a_variable_overrides_a_mistake_in_the_file() -> None:
    config = parsed({"TAILER_POLL__INTERVAL_S": "2"}, FILE.replace("1.0", '"often"'))

    assert config.poll.pace.interval_s == 2.0


def test_an_empty_variable_is_an_empty_text() -> None:
    assert parsed({"TAILER_STATUS__LISTEN": ""}).status.listen == ""


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    config = parsed({"TAILER_WATCH__1__TARGETS": "deployment/d1, e2"})

    assert config.watches[0].targets == ("deployment/d1", "e2")


def test_regular_expressions_in_a_variable_are_separated_by_newlines() -> None:
    config = parsed({"TAILER_SINK__1__INCLUDE": "a{2,3} b\n\\d+"})

    assert [pattern.pattern for pattern in config.sinks[0].include] == ["a{2,3} b", "\\d+"]


def test_a_switch_in_a_variable_is_true_or_false() -> None:
    config = parsed({"TAILER_SINK__1__COMPRESS": "False"})

    assert isinstance(config.sinks[0].to, FileSection)
    assert not config.sinks[0].to.compress


def test_a_whole_configuration_fits_into_variables() -> None:
    config = parsed(
        {
            "TAILER_WATCH__1__TARGETS": "d1",
            "TAILER_WATCH__2__TARGETS": "d2",
            "TAILER_SINK__1__KIND": "file",
            "TAILER_SINK__1__PATH": "/logs/{id}.log",
        },
        "",
    )

    assert [watch.targets for watch in config.watches] == [("d1",), ("d2",)]


def test_the_tenth_watch_follows_the_ninth() -> None:
    config = parsed({f"TAILER_WATCH__{n}__TARGETS": f"d{n}" for n in range(1, 12)})

    assert len(config.watches) == 11


@pytest.mark.parametrize("name", ["TAILER_SINCE", "TAILER_CONFIG", "AICORE__X__Y", "TAILER_"])
def test_only_names_with_two_underscores_are_configuration(name: str) -> None:
    assert parsed({name: "anything"}) == parsed({})


def test_no_variable_of_a_flag_is_taken_for_a_misspelled_key() -> None:
    commands = [
        tailer.get_command(click.Context(tailer), name)
        for name in tailer.list_commands(click.Context(tailer))
    ]
    flags = {
        flag.envvar: "1"
        for command in commands
        if command is not None
        for flag in command.params
        if isinstance(flag.envvar, str)
    }

    assert len(flags) > 40
    assert parsed(flags) == parsed({})


@pytest.mark.parametrize(
    ("variable", "text", "interval_s"), [("INTERVAL_S", "500ms", 0.5), ("INTERVAL_S", "1m30s", 90)]
)
def test_a_duration_in_a_variable_may_have_a_unit(
    variable: str, text: str, interval_s: float
) -> None:
    assert parsed({f"TAILER_POLL__{variable}": text}).poll.pace.interval_s == interval_s


def test_a_size_in_a_variable_may_have_a_unit() -> None:
    assert parsed({"TAILER_SPOOL__MAX_BYTES": "128MiB"}).spool.max_bytes == 134_217_728


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_variable(section: str) -> None:
    environ = {variable_for(section, key): "\0" for key in SECTIONS[section]}

    output = error_text(environ)
    assert "there is no such" not in output


MISTAKES = {
    "a wrong value": (
        {"TAILER_POLL__INTERVAL_S": "fast"},
        (
            "TAILER_POLL__INTERVAL_S: must be a number of seconds from 0.1 to 3_600, "
            'or text such as "90s" or "1h30m", not "fast"'
        ),
    ),
    "an empty number": (
        {"TAILER_POLL__REQUESTS_PER_S": ""},
        'TAILER_POLL__REQUESTS_PER_S: must be a number from 0.1 to 1_000, not ""',
    ),
    "a word for a switch": (
        {"TAILER_SINK__1__COMPRESS": "yes"},
        'TAILER_SINK__1__COMPRESS: must be true or false, not "yes"',
    ),
    "a misspelled key": (
        {"TAILER_POLL__INTERVALL_S": "1"},
        "TAILER_POLL__INTERVALL_S: there is no such key in this section; did you mean interval_s?",
    ),
    "a misspelled key of an element": (
        {"TAILER_SINK__1__FROMAT": "json"},
        "TAILER_SINK__1__FROMAT: there is no such key in this section; did you mean format?",
    ),
    "a misspelled section": (
        {"TAILER_POL__INTERVAL_S": "1"},
        "TAILER_POL__INTERVAL_S: there is no such section; did you mean [poll]?",
    ),
    "a section of another program": (
        {"TAILER_X__Y": "1"},
        f"TAILER_X__Y: there is no such section; known: {', '.join(map(header, SECTIONS))}",
    ),
    "small letters": (
        {"TAILER_poll__interval_s": "1"},
        "TAILER_poll__interval_s: there is no such variable; did you mean TAILER_POLL__INTERVAL_S?",
    ),
    "a single underscore": (
        {"TAILER_POLL_INTERVAL_S": "1"},
        "TAILER_POLL_INTERVAL_S: there is no such variable; did you mean TAILER_POLL__INTERVAL_S?",
    ),
    "single underscores around a number": (
        {"TAILER_SINK_1_PATH": "/logs/{id}.log"},
        "TAILER_SINK_1_PATH: there is no such variable; did you mean TAILER_SINK__1__PATH?",
    ),
    "a single underscore after a number": (
        {"TAILER_SINK__2_MAX_MESSAGE_BYTES": "0"},
        (
            "TAILER_SINK__2_MAX_MESSAGE_BYTES: there is no such variable; "
            "did you mean TAILER_SINK__2__MAX_MESSAGE_BYTES?"
        ),
    ),
    "no number": (
        {"TAILER_WATCH_TARGETS": "d1"},
        "TAILER_WATCH_TARGETS: there is no such variable; did you mean TAILER_WATCH__1__TARGETS?",
    ),
    "counted from 0": (
        {"TAILER_SINK__0__FORMAT": "json"},
        "TAILER_SINK__0__FORMAT: there is no such variable; did you mean TAILER_SINK__1__FORMAT?",
    ),
    "one left out": (
        {"TAILER_SINK__3__FORMAT": "json"},
        "TAILER_SINK__3__FORMAT: only 1 [[sink]] come before it; use TAILER_SINK__2__FORMAT",
    ),
    "an element without what it needs": (
        {"TAILER_SINK__2__KIND": "syslog"},
        'TAILER_SINK__2__URL: is missing; an example is url = "relp+tls://logs.example.com:2514"',
    ),
    "a secret": (
        {"TAILER_AICORE__CLIENT_SECRET": "hush"},
        f"TAILER_AICORE__CLIENT_SECRET: {SECRET_KEY}",
    ),
    "a password in an address": (
        {"TAILER_SINK__1__URL": "tls://me:hush@h:1"},
        f"TAILER_SINK__1__URL: {USERINFO}",
    ),
    "a password in a list of addresses": (
        {"TAILER_SINK__2__KIND": "syslog", "TAILER_SINK__2__URL": "tls://h:1, tls://me:hush@h:1"},
        f"TAILER_SINK__2__URL: {USERINFO}",
    ),
}


@pytest.mark.parametrize(("environ", "output"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_variable_is_answered_with_its_name(
    environ: dict[str, str], output: str
) -> None:
    assert error_text(environ) == output


def test_a_misspelled_key_counted_from_0_is_reported_without_any_element() -> None:
    assert "TAILER_SINK__0__FROMAT: there is no such key" in error_text(
        {"TAILER_SINK__0__FROMAT": "json"}, ""
    )


def test_mistakes_of_the_file_precede_mistakes_of_variables() -> None:
    output = error_text(
        {"TAILER_SPOOL__PATH": "x", "TAILER_DAEMON__SHUTDOWN_TIMEOUT_S": "-1"},
        FILE.replace("1.0", "0"),
    )

    assert [line.split(":")[0] for line in output.split("\n")] == [
        "tailer.toml",
        "TAILER_DAEMON__SHUTDOWN_TIMEOUT_S",
        "TAILER_SPOOL__PATH",
    ]
