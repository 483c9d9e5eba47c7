"""Format templates of users, and rejected templates."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import any_batches, batch, line

from tailer.errors import ConfigError
from tailer.model import Batch, Entry
from tailer.sinks.formats.build import FormatSettings, Formatter, build_formatter


def template(text: str, *, escape: bool = False) -> Formatter:
    return build_formatter(FormatSettings(template=text, timezone=UTC, escape=escape), [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{timestamp}", "2024-09-18T16:06:50.914532860+00:00"),
        ("{time}", "2024-09-18T16:06:50.914Z"),
        ("{resource_group} {target}", "default deployment/d1a2"),
        ("{kind}:{id}", "deployment:d1a2"),
        ("{pod} {container} {stream}", "pod-a main stdout"),
        ("[{pod:8}] {msg}", "[pod-a   ] hello"),
        ("[{pod:2}]", "[pod-a]"),
        ("{{{msg}}}", "{hello}"),
        (r"a\tb\\n", "a\tb\\n"),
        (r"{msg}\n", "hello"),
        (r"{msg}\n\n", "hello\n"),
        (r"\d", r"\d"),
        ("", ""),
    ],
)
def test_fields_are_filled_in(text: str, expected: str) -> None:
    assert template(text)(batch(line("hello\n"))).decode() == f"{expected}\n"


def test_missing_fields_are_dashes_and_a_missing_message_is_empty() -> None:
    assert template("{timestamp} {pod} {container} {stream}|{msg}|")(batch(Entry(pod=None))) == (
        b"- - - -||\n"
    )


@pytest.mark.parametrize(
    "text",
    ["{nope}", "{}", "{0}", "{msg.__class__}", "{msg[0]}", "{msg!r}", "{ msg}", "{MSG}", "{pod:x}"],
)
def test_an_invalid_field_is_rejected(text: str) -> None:
    with pytest.raises(ConfigError):
        template(text)


def test_an_unknown_field_is_named_together_with_the_closest_one() -> None:
    with pytest.raises(ConfigError, match=r"no field 'podd' \(did you mean pod\?\)"):
        template("{podd}")


@pytest.mark.parametrize("text", ["{", "}", "{msg", "msg}", "{{msg}", "{msg}}", "a { b"])
def test_a_brace_without_its_partner_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no partner"):
        template(text)


@pytest.mark.parametrize("width", ["1000", "-5", ">5", "5.2", "٣"])
def test_a_width_is_a_small_number(width: str) -> None:
    with pytest.raises(ConfigError, match="not a width"):
        template(f"{{pod:{width}}}")


@given(st.text("{}\\:nmsgpod25"))
def test_any_template_is_rejected_or_works(text: str) -> None:
    try:
        formatter = template(text)
    except ConfigError:
        return

    assert formatter(batch(line("x"))).endswith(b"\n")


def test_a_terminal_gets_escaped_values_and_the_template_unchanged() -> None:
    formatter = template("\x1b[1m{pod}\x1b[0m {msg}", escape=True)

    assert (
        formatter(batch(line("\x1b[2J\nx", pod="\x9b"))) == b"\x1b[1m\\x9b\x1b[0m \\x1b[2J\\x0ax\n"
    )


@given(any_batches)
def test_on_a_terminal_one_entry_is_one_line(source: Batch) -> None:
    page = template("{time} {pod} {msg}", escape=True)(source)

    assert len(page.splitlines()) == len(source.entries)
    assert b"\x1b" not in page
