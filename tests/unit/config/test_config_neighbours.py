"""Checks of the configuration layer agree with the parts that it configures."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tailer.config import PollSettings, parse_config
from tailer.config.fields import LINE_FIELDS
from tailer.config.settings import SECTIONS
from tailer.discovery.lookup import kinds_and_id
from tailer.errors import ConfigError
from tailer.sinks.file.paths import PathTemplate
from tailer.sinks.formats.template import FIELDS, TemplateFormatter

LINE_TEMPLATE = SECTIONS["sink"]["template"]
PATH = SECTIONS["sink"]["path"]
TARGET = SECTIONS["watch"]["targets"]
PIECES = st.lists(
    st.sampled_from(["{", "}", "{{", "}}", "{pod}", "{msg:9}", "{pod:}", "{x}", ":", " ", "\\n"]),
    min_size=1,
    max_size=6,
).map("".join)
PATHS = st.lists(
    st.sampled_from(["/", "logs", "{id}", "{", "}", "{x}", ".", "..", ".log", ".gz", "a"]),
    max_size=6,
).map(lambda parts: "/logs/" + "".join(parts))


def polls(text: str) -> PollSettings:
    rest = '[[watch]]\ntargets = ["d1"]\n[[sink]]\nkind = "file"\npath = "/logs/{id}.log"\n'
    return parse_config(f"[poll]\n{text}\n{rest}", name="tailer.toml", environ={}).poll


def test_a_template_has_the_fields_of_the_formatter() -> None:
    assert set(LINE_FIELDS) == set(FIELDS)


@given(PIECES)
def test_a_template_is_valid_if_the_formatter_accepts_it(template: str) -> None:
    try:
        TemplateFormatter(template, timezone=None, escape=False)
    except ConfigError:
        with pytest.raises(ConfigError):
            LINE_TEMPLATE.read(template)
    else:
        assert LINE_TEMPLATE.read(template) == template


@given(st.text(alphabet="depxcution/s. 1é", max_size=12) | st.sampled_from(["deployments/d1"]))
def test_a_target_is_valid_if_the_lookup_accepts_it(name: str) -> None:
    try:
        expected = kinds_and_id(name)
    except ConfigError:
        with pytest.raises(ConfigError):
            TARGET.read([name])
    else:
        [target] = TARGET.read([name])

        assert kinds_and_id(target) == expected


@given(PATHS)
def test_a_path_is_valid_if_the_file_sink_accepts_it(path: str) -> None:
    try:
        PathTemplate(path)
    except ConfigError:
        with pytest.raises(ConfigError):
            PATH.read(path)
    else:
        assert PATH.read(path) == path


def test_an_empty_poll_section_has_the_defaults_of_the_poller() -> None:
    assert polls("") == PollSettings()


def test_the_default_drain_covers_the_lateness() -> None:
    assert polls("lateness_s = 90").drain_s == 90.0
