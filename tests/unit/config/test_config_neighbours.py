"""The configuration is below the parts it configures, so here they are compared."""

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tailer.config.readers import WrongValueError
from tailer.config.settings import PollSection, PollSettings
from tailer.config.texts import LINE_FIELDS, LINE_TEMPLATE, TARGET
from tailer.discovery.lookup import kinds_and_id
from tailer.errors import ConfigError
from tailer.sinks.formats.template import FIELDS, TemplateFormatter

PIECES = st.lists(
    st.sampled_from(["{", "}", "{{", "}}", "{pod}", "{msg:9}", "{pod:}", "{x}", ":", " ", "\\n"]),
    min_size=1,
    max_size=6,
).map("".join)


def test_a_template_has_the_fields_of_the_formatter() -> None:
    assert set(LINE_FIELDS) == set(FIELDS)


@given(PIECES)
def test_a_template_is_right_when_the_formatter_takes_it(template: str) -> None:
    try:
        TemplateFormatter(template, timezone=None, escape=False)
    except ConfigError:
        with pytest.raises(WrongValueError):
            LINE_TEMPLATE.read(template)
    else:
        assert LINE_TEMPLATE.read(template) == template


@given(st.text(alphabet="depxcution/s. 1é", max_size=12) | st.sampled_from(["deployments/d1"]))
def test_a_target_is_right_when_it_could_be_looked_up(name: str) -> None:
    try:
        expected = kinds_and_id(name)
    except ConfigError:
        with pytest.raises(WrongValueError):
            TARGET.read(name)
    else:
        assert kinds_and_id(TARGET.read(name)) == expected


def test_a_poll_section_without_keys_is_what_a_poller_does_anyway() -> None:
    assert PollSection().settings == PollSettings()


def test_an_ended_target_is_watched_for_as_long_as_lines_may_be_late() -> None:
    settings = dataclasses.replace(PollSection(), lateness_s=90.0).settings

    assert settings.drain_s == 90.0
