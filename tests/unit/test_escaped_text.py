"""Escaping of unsafe characters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import any_text

from tailer.text import encode, is_plain, visible

UNSAFE = [
    *range(0x09),
    *range(0x0A, 0x20),
    *range(0x7F, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x206A),
    0xFEFF,
    0xD800,
    0xE0041,
]


@pytest.mark.parametrize("code", UNSAFE)
def test_an_unsafe_character_is_spelled_out(code: int) -> None:
    shown = visible(f"a{chr(code)}b")

    assert re.fullmatch(r"a\\(?:x..|u....|U........)b", shown)
    assert int(shown[3:-1], 16) == code


@pytest.mark.parametrize("text", ["\t", "C:\\x1b", "höhe", "漢字", "😀", "🏳️", "─│", "\u00a0"])
def test_printable_text_is_unchanged(text: str) -> None:
    assert visible(text) == text


@given(st.lists(any_text))
def test_a_page_is_plain_exactly_if_escaping_changes_none_of_its_lines(messages: list[str]) -> None:
    rows = "\n".join(messages).split("\n")

    assert is_plain("\n".join(rows)) == all(visible(row) == row for row in rows)


@given(any_text)
def test_every_text_has_bytes(text: str) -> None:
    assert encode(text).decode() == re.sub(
        "[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text
    )
