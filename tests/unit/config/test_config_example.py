"""`example.toml` is the documentation of the keys, so it must have them all."""

import itertools
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest

from tailer.config import Config, PollSettings, parse_config
from tailer.config.settings import ARRAYS, SECTIONS, SINK_KEYS
from tailer.config.values import REQUIRED, Key

TABLE_KEYS = {name: keys for name, keys in SECTIONS.items() if name not in ARRAYS}

TEXT = (files("tailer.config") / "example.toml").read_text("utf-8")
WITH_EXAMPLES = re.sub(r"^# (?=\w+ = )", "", TEXT, flags=re.MULTILINE)
WRITTEN = tomllib.loads(TEXT)
ALL = tomllib.loads(WITH_EXAMPLES)


def tables(document: Mapping[str, Any]) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Key]]]:
    """Each table of the example, with the keys that belong in it."""
    found: dict[str, tuple[Mapping[str, Any], Mapping[str, Key]]] = {
        name: (document[name], keys) for name, keys in TABLE_KEYS.items()
    }
    watches = {key: value for watch in document["watch"] for key, value in watch.items()}
    found["watch"] = (watches, SECTIONS["watch"])
    found |= {f"{sink['kind']} sink": (sink, SINK_KEYS[sink["kind"]]) for sink in document["sink"]}
    return found


def parsed(text: str) -> Config:
    return parse_config(text, name="example.toml", environ={})


@pytest.mark.parametrize("name", [*TABLE_KEYS, "watch", *(f"{kind} sink" for kind in SINK_KEYS)])
def test_the_example_has_exactly_the_known_keys(name: str) -> None:
    table, keys = tables(ALL)[name]

    assert set(table) == set(keys)


@pytest.mark.parametrize("name", [*TABLE_KEYS, "watch", *(f"{kind} sink" for kind in SINK_KEYS)])
def test_the_values_in_the_example_are_the_defaults(name: str) -> None:
    table, keys = tables(WRITTEN)[name]
    optional = {key for key in table if keys[key].default not in (REQUIRED, None)}
    optional -= {"targets"} if name == "watch" else set()  # required, by way of a better message

    defaults = {key: keys[key].default for key in optional}
    assert {key: keys[key].read(table[key]) for key in optional} == defaults


def test_a_key_without_a_default_is_a_comment_in_the_example() -> None:
    commented = {
        (name, key)
        for name, (table, _) in tables(ALL).items()
        for key in set(table) - set(tables(WRITTEN)[name][0])
    }
    without_default = {
        (name, key)
        for name, (_, keys) in tables(ALL).items()
        for key in keys
        if keys[key].default is None and key not in {"name", "kind"}
    }

    assert commented == without_default


def test_the_unchanged_example_is_valid() -> None:
    assert parsed(TEXT).poll == PollSettings()


def test_the_example_names_the_default_name_of_a_sink() -> None:
    nameless = re.sub(r"^name = .*\n", "", TEXT, flags=re.MULTILINE)

    assert parsed(nameless) == parsed(TEXT)


def test_examples_of_keys_without_default_are_valid() -> None:
    with_examples = WITH_EXAMPLES.replace('format = "json"', 'format = "text"')

    assert parsed(with_examples).watches[0].resource_group == ("team-a",)


def test_every_key_is_explained_above_its_first_use() -> None:
    lines = TEXT.split("\n")
    above: dict[str, str] = {}
    for before, line in itertools.pairwise(lines):
        key = re.match(r"(?:# )?(\w+) = ", line)
        if key is not None:
            above.setdefault(key[1], before)

    assert [key for key, line in above.items() if not line.startswith("# ")] == []
