from pathlib import Path

import pytest

from tailer.config import Config, FileSection, parse_config
from tailer.config.environment import variable_for
from tailer.config.schema import SECTIONS, header
from tailer.config.secrets import IN_ADDRESS, IN_FILE
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


def said_about(environ: dict[str, str], text: str = FILE) -> str:
    with pytest.raises(ConfigError) as refusal:
        parsed(environ, text)
    return str(refusal.value)


def test_a_variable_wins_over_the_file() -> None:
    assert parsed({"TAILER_POLL__INTERVAL_S": "2.5"}).poll.pace.interval_s == 2.5


def test_a_variable_sets_what_the_file_does_not() -> None:
    config = parsed({"TAILER_AICORE__SERVICE_KEY_FILE": "/run/secrets/key.json"})

    assert config.aicore.service_key_file == Path("/run/secrets/key.json")


def test_a_variable_mends_a_mistake_of_the_file() -> None:
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


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_variable(section: str) -> None:
    environ = {variable_for(section, key): "\0" for key in SECTIONS[section]}

    said = said_about(environ)
    assert "there is no such key" not in said


MISTAKES = {
    "a wrong value": (
        {"TAILER_POLL__INTERVAL_S": "fast"},
        'TAILER_POLL__INTERVAL_S: "fast" is not a number; write one from 0.1 to 3_600',
    ),
    "an empty number": (
        {"TAILER_POLL__INTERVAL_S": ""},
        'TAILER_POLL__INTERVAL_S: "" is not a number; write one from 0.1 to 3_600',
    ),
    "a misspelled key": (
        {"TAILER_POLL__INTERVALL_S": "1"},
        "TAILER_POLL__INTERVALL_S: there is no such key; did you mean TAILER_POLL__INTERVAL_S?",
    ),
    "a misspelled key of an element": (
        {"TAILER_SINK__1__FROMAT": "json"},
        "TAILER_SINK__1__FROMAT: there is no such key; did you mean TAILER_SINK__1__FORMAT?",
    ),
    "a misspelled section": (
        {"TAILER_POL__INTERVAL_S": "1"},
        "TAILER_POL__INTERVAL_S: there is no such key; did you mean TAILER_POLL__INTERVAL_S?",
    ),
    "a section of another program": (
        {"TAILER_X__Y": "1"},
        f"TAILER_X__Y: there is no such section; there are {', '.join(map(header, SECTIONS))}",
    ),
    "small letters": (
        {"TAILER_poll__interval_s": "1"},
        "TAILER_poll__interval_s: there is no such key; did you mean TAILER_POLL__INTERVAL_S?",
    ),
    "counted from 0": (
        {"TAILER_SINK__0__FORMAT": "json"},
        "TAILER_SINK__0__FORMAT: they are counted from 1; the first is TAILER_SINK__1__FORMAT",
    ),
    "one left out": (
        {"TAILER_SINK__3__FORMAT": "json"},
        "TAILER_SINK__3__FORMAT: there are 1 [[sink]] before it; the next is TAILER_SINK__2",
    ),
    "an element without what it needs": (
        {"TAILER_SINK__2__KIND": "syslog"},
        'TAILER_SINK__2__URL: is missing; as in url = "relp+tls://logs.example.com:2514"',
    ),
    "a secret": (
        {"TAILER_AICORE__CLIENT_SECRET": "hush"},
        f"TAILER_AICORE__CLIENT_SECRET: a secret does not belong here; {IN_FILE}",
    ),
    "a password in an address": (
        {"TAILER_SINK__1__URL": "tls://me:hush@h:1"},
        f"TAILER_SINK__1__URL: {IN_ADDRESS}",
    ),
}


@pytest.mark.parametrize(("environ", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_variable_is_answered_with_its_name(
    environ: dict[str, str], said: str
) -> None:
    assert said_about(environ) == said


def test_mistakes_of_the_file_come_before_those_of_variables() -> None:
    said = said_about(
        {"TAILER_SPOOL__PATH": "x", "TAILER_DAEMON__SHUTDOWN_S": "-1"}, FILE.replace("1.0", "0")
    )

    assert [line.split(":")[0] for line in said.split("\n")] == [
        "tailer.toml",
        "TAILER_DAEMON__SHUTDOWN_S",
        "TAILER_SPOOL__PATH",
    ]
