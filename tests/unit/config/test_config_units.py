"""Durations and sizes with units, in the file and on the command line."""

import re

import pytest

from tailer.config import Config, parse_config
from tailer.config.settings import SECTIONS
from tailer.errors import ConfigError
from tailer.text import parse_duration, parse_size

REST = '[[watch]]\ntargets = ["d1"]\n[[sink]]\nkind = "file"\npath = "/logs/{id}.log"\n'


def parsed(text: str) -> Config:
    return parse_config(text + REST, name="tailer.toml", environ={})


@pytest.mark.parametrize(
    ("written", "lateness_s"),
    [("60", 60), ("1.5", 1.5), ('"1m"', 60), ('"10m"', 600), ('"1h30m"', 5400), ('"1500ms"', 1.5)],
)
def test_a_duration_is_a_number_or_text_with_units(written: str, lateness_s: float) -> None:
    assert parsed(f"[poll]\nlateness_s = {written}\n").poll.lateness_s == lateness_s


@pytest.mark.parametrize(
    ("written", "max_bytes"),
    [
        ("2_000_000", 2_000_000),
        ('"1GB"', 1_000_000_000),
        ('"128MiB"', 134_217_728),
        ('"1.5gb"', 1_500_000_000),
        ('"2000kB"', 2_000_000),
        ('"1TiB"', 1 << 40),
    ],
)
def test_a_size_is_a_number_or_text_with_a_unit(written: str, max_bytes: int) -> None:
    assert parsed(f"[spool]\nmax_bytes = {written}\n").spool.max_bytes == max_bytes


@pytest.mark.parametrize("text", ["", "1", "1 m", "m", "1y", "1m ", "-1m", "1m30", "٣m", "1M"])
def test_other_text_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    "text", ["", "1", "1 GB", "GB", "1G", "1iB", "-1GB", "0.5B", "1GB ", "٣GB"]
)
def test_other_text_is_no_size(text: str) -> None:
    assert parse_size(text) is None


def test_a_rotation_may_be_turned_off_by_zero_with_a_unit() -> None:
    key = SECTIONS["sink"]["rotate_bytes"]

    assert (key.read("0B"), key.read(0)) == (0, 0)


def test_the_idle_interval_follows_the_interval() -> None:
    poll = parsed("[poll]\ninterval_s = 30\n").poll

    assert (poll.pace.interval_s, poll.pace.idle_interval_s) == (30, 30)


def test_the_idle_interval_has_its_default_with_a_short_interval() -> None:
    assert parsed("[poll]\ninterval_s = 2\n").poll.pace.idle_interval_s == 15


def test_an_idle_interval_alone_must_not_be_shorter_than_the_default_interval() -> None:
    with pytest.raises(ConfigError, match=re.escape("idle_interval_s: must not be smaller")):
        parsed("[poll]\nidle_interval_s = 0.5\n")
