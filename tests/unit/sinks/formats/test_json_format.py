"""JSON lines: the entry as the service sent it, with where it came from."""

import json
import unicodedata

import pytest
from hypothesis import given
from msgspec import UNSET, Raw
from support.batches import any_batches, batch, line, whole

from tailer.model import Batch, Entry, ExtendedEntry
from tailer.sinks.formats.build import FormatSettings, build_formatter

PLAIN = build_formatter(FormatSettings(format="json"), [])
FOR_TERMINAL = build_formatter(FormatSettings(format="json", escape=True), [])


def expected(source: Batch, entry: Entry) -> list[tuple[str, object]]:
    msg = entry.msg.removesuffix("\n") if isinstance(entry.msg, str) else entry.msg
    fields = [
        ("timestamp", entry.timestamp),
        ("resource_group", source.target.resource_group),
        ("target", source.target.name),
        ("pod", entry.pod),
        ("container", entry.container),
        ("stream", entry.stream),
        ("msg", msg),
    ]
    known = [(key, whole(value)) for key, value in fields if value is not UNSET]
    extra = json.loads(bytes(entry.extra)) if isinstance(entry, ExtendedEntry) else {}
    return known + list(extra.items())


@given(any_batches)
def test_every_line_reads_back_as_its_entry_with_the_keys_in_order(source: Batch) -> None:
    page = PLAIN(source).decode()

    assert [json.loads(each, object_pairs_hook=list) for each in page.split("\n")[:-1]] == [
        _as_pairs(expected(source, entry)) for entry in source.entries
    ]


def _as_pairs(fields: list[tuple[str, object]]) -> list[tuple[str, object]]:
    return [
        (key, list(value.items()) if isinstance(value, dict) else value) for key, value in fields
    ]


@given(any_batches)
def test_escaping_for_a_terminal_changes_no_value(source: Batch) -> None:
    plain = PLAIN(source).decode().split("\n")[:-1]
    escaped = FOR_TERMINAL(source).decode().split("\n")[:-1]

    assert [json.loads(each) for each in escaped] == [json.loads(each) for each in plain]


def test_an_entry_of_the_samples_is_written_as_documented() -> None:
    page = PLAIN(batch(line("started\n")))

    assert page == (
        b'{"timestamp":"2024-09-18T16:06:50.914532860+00:00","resource_group":"default",'
        b'"target":"deployment/d1a2","pod":"pod-a","container":"main","stream":"stdout",'
        b'"msg":"started"}\n'
    )


def test_absent_fields_stay_absent_and_nulls_stay_null() -> None:
    page = PLAIN(batch(Entry(pod=None, msg="x")))

    assert page == b'{"resource_group":"default","target":"deployment/d1a2","pod":null,"msg":"x"}\n'


def test_unknown_fields_follow_under_their_own_names_with_their_digits() -> None:
    page = PLAIN(batch(ExtendedEntry(msg="x", extra=Raw(b'{"level": "info",\n"cost": 1.50}'))))

    assert page.endswith(b'"msg":"x","level":"info","cost":1.50}\n')


def test_an_unknown_field_that_is_named_like_ours_gets_an_underscore() -> None:
    extra = Raw(b'{"target": 1, "target_": 2, "resource_group": 3}')
    fields = json.loads(PLAIN(batch(ExtendedEntry(msg="x", extra=extra))), object_pairs_hook=list)

    assert fields == [
        ("resource_group", "default"),
        ("target", "deployment/d1a2"),
        ("msg", "x"),
        ("target_", 1),
        ("target__", 2),
        ("resource_group_", 3),
    ]


def test_one_trailing_newline_is_not_part_of_the_message_but_a_second_one_is() -> None:
    page = PLAIN(batch(line("a\n\n")))

    assert json.loads(page)["msg"] == "a\n"


def test_half_a_surrogate_pair_is_escaped_and_its_neighbors_are_as_always() -> None:
    page = PLAIN(batch(line("a\ud800b"), line("ok")))

    assert b'"msg":"a\\ud800b"' in page
    assert b'"msg":"ok"' in page


def test_a_container_runtimes_prefix_is_left_where_it_is() -> None:
    wrapped = "2022-11-04T12:49:51.440561519Z stderr F Starting"

    assert json.loads(PLAIN(batch(Entry(msg=wrapped)))) == {
        "resource_group": "default",
        "target": "deployment/d1a2",
        "msg": wrapped,
    }


@pytest.mark.parametrize("code", [0x1B, 0x7F, 0x9B, 0x202E, 0x2028, 0xE0041])
def test_a_terminal_gets_unsafe_characters_escaped(code: int) -> None:
    page = FOR_TERMINAL(batch(line(chr(code)))).decode()

    assert unicodedata.category(chr(code)) not in {unicodedata.category(c) for c in page[:-1]}


def test_a_batch_without_lines_is_no_bytes() -> None:
    assert PLAIN(batch()) == b""
