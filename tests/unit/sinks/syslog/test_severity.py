"""Severity of a line: by its stream, or by a level that the line states."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import UNSET
from support.batches import any_text, batch, line
from support.syslog.formatted import formatter
from support.syslog.rfc5424_reader import read

from tailer.config.settings import FACILITIES, SEVERITIES
from tailer.model import Entry
from tailer.sinks.syslog.severity import level_of


def severity(entry: Entry, **settings: Any) -> str:
    [message] = formatter(**settings)(batch(entry))
    return SEVERITIES[read(message).severity]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (line("x"), "info"),
        (line("x", stream="stderr"), "warning"),
        (line("x", stream="elsewhere"), "info"),
        (Entry(msg="x"), "info"),
        (Entry(stream=None, msg=UNSET), "info"),
        (Entry(msg="2022-11-04T12:49:51.440561519Z stderr F Starting"), "warning"),
        (line("ERROR: not parsed by default"), "info"),
    ],
)
def test_the_stream_decides(entry: Entry, named: str) -> None:
    assert severity(entry) == named


def test_the_streams_have_the_severities_of_the_section() -> None:
    settings = {"severity_stdout": "debug", "severity_stderr": "emerg"}

    assert severity(line("x"), **settings) == "debug"
    assert severity(line("x", stream="stderr"), **settings) == "emerg"


@pytest.mark.parametrize(
    ("facility", "code"),
    [("kern", 0), ("user", 1), ("authpriv", 10), ("ftp", 11), ("local0", 16), ("local7", 23)],
)
def test_a_facility_has_its_code_of_the_standard(facility: str, code: int) -> None:
    [message] = formatter(facility=facility)(batch(line("x")))

    assert facility in FACILITIES
    assert read(message).facility == code


def test_a_stated_level_wins_over_the_level_of_the_stream() -> None:
    assert severity(line("ERROR: no", stream="stdout"), severity="auto") == "err"
    assert severity(line("well", stream="stderr"), severity="auto") == "warning"
    assert severity(Entry(msg="2022-11-04T12:49:51Z stderr F INFO: x"), severity="auto") == "info"
    assert severity(Entry(msg="2022-11-04T12:49:51Z stderr F x"), severity="auto") == "warning"


STATED = [
    ('{"level":"error","msg":"x"}', "err"),
    ('{"msg": "x", "levelname": "WARNING", "level": 30}', "warning"),
    ('{"severity": "Critical"}', "crit"),
    ('{"lvl": "dbug"}', "debug"),
    ('{"log.level": "notice"}', "notice"),
    ('{"level": 50, "time": 1}', "err"),
    ('{"level": 60}', "crit"),
    ('{"level": "dpanic", "ts": 1.5, "caller": "a.go:1"}', "crit"),
    ('{"level": "emergency"}', "emerg"),
    ('{"level": "alert"}', "alert"),
    ("I0102 15:04:05.123456    12 main.go:7] x", "info"),
    ("W20240102 15:04:05.123456 12 main.cc:7] x", "warning"),
    ("F0102 15:04:05.123456 12 main.cc:7] x", "crit"),
    ("[W 2024-01-02 15:04:05.123 ServerApp] x", "warning"),
    ("[E 15:04:05.123 NotebookApp] x", "err"),
    ("[I 240102 15:04:05 web:2239] 200 GET /", "info"),
    ("2024-01-02 03:04:05,678 - my.name - WARNING - x", "warning"),
    ("2024-01-02 03:04:05,678 my.name[7] INFO", None),
    ("WARNING:root:x", "warning"),
    ("WARNING  x", "warning"),
    ("[WARNING] x", "warning"),
    ("[error] x", "err"),
    ("[INFO|trainer.py:12] 2024-01-02 03:04:05,678 >> x", "info"),
    ("INFO:     Started server process [1]", "info"),
    ("\x1b[32mINFO\x1b[0m:     Started server process", "info"),
    ("error: cannot find x", "err"),
    ("INFO 01-02 15:04:05 [engine.py:12] x", "info"),
    ("(EngineCore_0 pid=7) ERROR 01-02 15:04:05 core.py:1] x", "err"),
    ("DEBUG [main] c.e.App - x", "debug"),
    ('time="2024-01-02T03:04:05Z" level=warning msg="x"', "warning"),
    ('t=2024-01-02 lvl=eror msg="x"', "err"),  # codespell:ignore eror
    ('msg="set level=error now" level=info', "info"),
    ("level=trace", "debug"),
    ("2024-01-02 15:04:05,123 WARN [main] c.e.App: x", "warning"),
    ("15:04:05.123 [main] ERROR c.e.App - x", "err"),
    ("2024-01-02 15:04:05.123  INFO 1 --- [main] c.e.App : x", "info"),
    ("2024-01-02T15:04:05.123Z  WARN crate::module: x", "warning"),
    ("2024-01-02T15:04:05.000Z\tinfo\tmain.go:7\tx", "info"),
    ("2024-01-02 15:04:05.123 | SUCCESS  | __main__:<module>:1 - x", "info"),
    ("[2024-01-02 15:04:05 +0000] [12] [CRITICAL] x", "crit"),
    ("[2024-01-02 15:04:05,123][__main__][INFO] - x", "info"),
    ("2024/01/02 15:04:05 [error] 31#31: x", "err"),
    ("2024-01-02 15:04:05.123456: W tensorflow/core/x.cc:7] x", "warning"),
    ("2024/01/02 15:04:05 error: x", "err"),
]
NOT_STATED = [
    "",
    "no ERROR found",
    "ERROR rates are low",
    "Information about level=error",
    "errors: 0",
    "INFOrmal",
    "2024-01-02 03:04:05 no ERROR found",
    "2024-01-02 03:04:05 error while reading",
    "2024-01-02 03:04:05,678 - a sentence with an ERROR - ",
    "12:00:00 [all] right, no [ERROR] here",
    "  File x, line 1, in ERROR: y",
    "{not json, level: error}",
    '{"nested": {"level": "error"}}',
    '{"msg": "said \\"level\\": \\"error\\""}',
    '{"level": "high"}',
    '{"level": 3.5}',
    '{"level": true}',
    '{"level": [' * 5000,
    '["level", "error"]',
    'key=value msg="level=error in a text"',
    "x=1 some prose with level=error in it",
    "I 0102 am prose",
    "[Wonderful 2024-01-02]",
    "inf  0.5  nan",
]


@pytest.mark.parametrize(("message", "named"), STATED, ids=[each for each, _ in STATED])
def test_a_level_is_read_where_libraries_write_it(message: str, named: str | None) -> None:
    code = level_of(message)

    assert (None if code is None else SEVERITIES[code]) == named


@pytest.mark.parametrize("message", NOT_STATED, ids=[each[:40] for each in NOT_STATED])
def test_a_level_word_in_the_text_is_not_a_level(message: str) -> None:
    assert level_of(message) is None


@given(any_text)
def test_any_message_has_a_level_or_none(message: str) -> None:
    for text in (message, f"[{message}", f'{{"level": {json.dumps(message)}}}', f"INFO {message}"):
        assert level_of(text) in {None, *range(8)}


@pytest.mark.parametrize("character", ["-", " ", "[", "\t", "|", ":", "(", "a=", '"', "[]"])
def test_a_level_is_found_in_bounded_time(character: str) -> None:
    for beginning in ("", "12:00:00 ", "[", "INFO ", 'a="', "a="):
        level_of(beginning + character * 1_000_000)  # a test has a limit of its own
