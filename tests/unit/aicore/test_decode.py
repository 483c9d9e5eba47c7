import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailer.aicore.decode import (
    decode_count,
    decode_page,
    decode_resources,
    decode_workload,
    decode_workloads,
)
from tailer.errors import TransientApiError
from tailer.model import Entry, ExtendedEntry, Kind, Status, Target

KNOWN = ("timestamp", "pod", "container", "stream", "msg")
texts = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
plain_entries = st.fixed_dictionaries({}, optional={name: texts | st.none() for name in KNOWN})
names = st.sampled_from([*KNOWN, "extra", "level", "", "a b", "ünï", '"']) | texts
odd_entries = st.dictionaries(names, json_values, max_size=6)


def page(*entries: object, indent: int | None = None) -> bytes:
    return json.dumps({"data": {"result": entries}}, indent=indent).encode()


def shown(entry: Entry) -> dict[str, Any]:
    """The entry as a JSON object again: known fields first, then what is unknown."""
    fields: dict[str, Any] = json.loads(msgspec.json.encode(entry))
    if isinstance(entry, ExtendedEntry):
        del fields["extra"]
        fields |= json.loads(bytes(entry.extra))
    return fields


@given(st.lists(plain_entries, max_size=5))
def test_a_known_entry_round_trips(entries: list[dict[str, Any]]) -> None:
    decoded = decode_page(page(*entries))

    assert [shown(entry) for entry in decoded] == entries
    assert {type(entry) for entry in decoded} <= {Entry}


@given(st.lists(odd_entries, max_size=4), st.sampled_from([None, 1]))
def test_no_field_of_any_entry_is_lost(entries: list[dict[str, Any]], indent: int | None) -> None:
    decoded = decode_page(page(*entries, indent=indent))

    for entry, sent in zip(decoded, entries, strict=True):
        result = shown(entry)
        assert result.keys() == sent.keys()
        for name, value in sent.items():
            if name in KNOWN and value is not None and not isinstance(value, str):
                assert json.loads(result[name]) == value
            else:
                assert result[name] == value


def test_unknown_fields_keep_their_order_and_every_digit() -> None:
    body = b"""{"data": {"result": [{
        "zeta": 1.000, "msg": "m", "alpha": {"n": 123456789012345678901234567890.10,
        "list": [ 1e999 ]}}]}}"""

    (entry,) = decode_page(body)

    assert isinstance(entry, ExtendedEntry)
    assert bytes(entry.extra) == (
        b'{"zeta":1.000,"alpha":{"n":123456789012345678901234567890.10,"list":[1e999]}}'
    )


def test_a_message_that_is_not_text_is_kept_as_json() -> None:
    (entry,) = decode_page(b'{"data":{"result":[{"msg": {"a": [1, 2.50]}, "pod": 7}]}}')

    assert entry == Entry(msg='{"a":[1,2.50]}', pod="7")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"a\ud800b", "a\ufffdb"),
        (r"a\uDFFFb", "a\ufffdb"),
        (r"\ud800\ud800\udc00", "\ufffd\U00010000"),
        (r"\\ud800", r"\ud800"),
        (r"\\\ud800", "\\\ufffd"),
        (r"\ud83d\ude00\ud83d", "\U0001f600\ufffd"),
        (r"\u0000", "\0"),
    ],
)
@pytest.mark.parametrize("unknown_field", ["", ', "level": 1'])
def test_half_a_surrogate_pair_does_not_cost_the_page(
    escaped: str, text: str, unknown_field: str
) -> None:
    body = f'{{"data":{{"result":[{{"msg":"{escaped}"{unknown_field}}},{{"msg":"n"}}]}}}}'

    messages = [entry.msg for entry in decode_page(body.encode())]

    assert messages == [text, "n"]


def test_half_a_pair_in_an_unknown_field_stays_valid_json() -> None:
    (entry,) = decode_page(rb'{"data":{"result":[{"tag\udc00":"\ud800"}]}}')

    assert shown(entry) == {"tag\ufffd": "\ufffd"}


def test_a_megabyte_in_one_message_is_fine() -> None:
    (entry,) = decode_page(page({"msg": "x" * 1_000_000}))

    assert entry.msg == "x" * 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"data":null}',
        '{"data":{}}',
        '{"data":{"result":null}}',
        '{"data":{"result":[]}}',
        ' {"data" : {"result" : [ ] } } ',
        '{"data":{"result":[]},"error":null}',
        '{"data":{},"error":null}',
        '{"data":{"result":[]},"more":false}',
    ],
)
def test_an_envelope_without_entries_is_an_empty_page(body: str) -> None:
    assert decode_page(body.encode()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b'{"error":{"code":"1","message":"m"}}',
        b'{"message":"no healthy upstream"}',
        b'{"data":{"result":[]},"error":{"code":"1"}}',
        b'{"data":{"result":[{"x":1}]},"error":{"code":"1"}}',
        b'{"data":{"resultType":"streams"}}',
        b'{"data":[]}',
        b'{"data":{"result":{}}}',
        b'{"data":{"result":["line"]}}',
        b'{"data":{"result":[null]}}',
        b'{"data":{"result":[{"msg":"a"}',
        b'{"data":{"result":[]}}{"data":{"result":[]}}',
        b'{"data":{"result":[{"msg":"a\xff"}]}}',
        b'{"data":{"result":[{"msg":"a","x":"\xff"}]}}',
        b'{"data":{"result":[{"msg":"a\nb"}]}}',
        b'{"data":{"result":[{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}]}}",
        b"<html>hello</html>",
        b"upstream connect error",
        b'{"data":' + b"9" * 5000 + b"}",
        b'{"x":' + b"9" * 5000 + b"}",
    ],
)
def test_anything_else_is_damaged_and_never_an_empty_page(body: bytes) -> None:
    with pytest.raises(TransientApiError, match="damaged response"):
        decode_page(body)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_raise_the_documented_error(body: bytes) -> None:
    with contextlib.suppress(TransientApiError):
        decode_page(body)


@given(st.data())
def test_a_page_cut_anywhere_is_damaged(data: st.DataObject) -> None:
    body = page({"msg": "one\n", "pod": "p"}, {"msg": "two", "level": 3})
    cut = data.draw(st.integers(0, len(body) - 1))

    with pytest.raises(TransientApiError):
        decode_page(body[:cut])


def test_a_damaged_page_of_logs_is_not_quoted() -> None:
    with pytest.raises(TransientApiError) as refused:
        decode_page(b'{"data":{"result":[{"msg":"patient 4711 is')

    assert "4711" not in str(refused.value)


def test_a_gateways_text_is_quoted_without_its_token_and_control_characters() -> None:
    with pytest.raises(TransientApiError) as refused:
        decode_page(b"no route \x1b[31m for Bearer abc.def and eyJhbGciOi.eyJz.sig_nature " * 9)

    message = str(refused.value)
    assert "no route  [31m for *** and ***" in message
    assert "\x1b" not in message
    assert len(message) < 250


def test_an_html_page_is_named_and_the_address_suspected() -> None:
    with pytest.raises(TransientApiError, match=r"an HTML page.*is the API address right"):
        decode_page(b"\n<!doctype html><title>Launchpad</title>")


def test_a_workload_is_read_with_its_details() -> None:
    body = json.dumps(
        {
            "id": "e3f4",
            "status": "DEAD",
            "statusMessage": "image pull \ud800",
            "statusDetails": {"workflow_info": [{"reason": "ErrImagePull"}]},
            "scenarioId": "churn",
            "executableId": "train",
            "configurationId": "c1",
            "configurationName": "nightly",
            "createdAt": "2024-08-05T16:17:40Z",
            "modifiedAt": "2024-08-05T16:18:40Z",
            "startTime": None,
            "surprise": [1],
        }
    ).encode()

    workload = decode_workload(body, resource_group="team-a", kind=Kind.EXECUTION)

    assert workload.target == Target("team-a", Kind.EXECUTION, "e3f4")
    assert workload.status is Status.DEAD
    assert workload.status_message == "image pull \ufffd"
    assert workload.status_details == {"workflow_info": [{"reason": "ErrImagePull"}]}
    assert (workload.scenario_id, workload.executable_id) == ("churn", "train")
    assert (workload.start_time, workload.completion_time) == ("", "")


@pytest.mark.parametrize("status", ["HIBERNATING", "", None, 5])
def test_an_unknown_status_is_not_final(status: object) -> None:
    body = json.dumps({"id": "d1", "status": status}).encode()

    workload = decode_workload(body, resource_group="g", kind=Kind.DEPLOYMENT)

    assert workload.status is Status.UNKNOWN


def test_a_list_has_its_count_if_present() -> None:
    one = b'{"id":"d1","status":"RUNNING"}'

    listed, count = decode_workloads(
        b'{"count":7,"resources":[' + one + b"]}", resource_group="g", kind=Kind.DEPLOYMENT
    )

    assert ([workload.target.id for workload in listed], count) == (["d1"], 7)
    assert decode_resources(b'{"resources":[]}') == ([], None)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"resources":{}}', b'{"resources":[1]}', b"[]", b"<html>", b'{"resources":[']
)
def test_a_list_that_is_none_is_damaged(body: bytes) -> None:
    with pytest.raises(TransientApiError, match="damaged"):
        decode_workloads(body, resource_group="g", kind=Kind.DEPLOYMENT)


def test_a_workload_without_an_id_is_damaged() -> None:
    with pytest.raises(TransientApiError, match="without an id"):
        decode_workload(b'{"status":"RUNNING"}', resource_group="g", kind=Kind.DEPLOYMENT)


def test_a_count_is_a_bare_number() -> None:
    assert decode_count(b" 17\n") == 17


@pytest.mark.parametrize("body", [b"", b"-1", b"1.5", b"seven", b"<html>", b"9" * 40])
def test_a_count_that_is_no_number_is_damaged(body: bytes) -> None:
    with pytest.raises(TransientApiError, match="not a number"):
        decode_count(body)
