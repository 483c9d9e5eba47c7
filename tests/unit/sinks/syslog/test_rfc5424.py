"""RFC 5424: every message parses by the standard's grammar, also for hostile lines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from support.batches import TARGET, TIME_NS, batch, line, lines
from support.syslog.formatted import (
    LARGE,
    control_characters,
    formatter,
    spelled,
    whole_batches,
)
from support.syslog.rfc5424_reader import read

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Entry, Kind, Target
from tailer.sinks.lines import message_text
from tailer.sinks.syslog.build import build_format
from tailer.sinks.syslog.stream import lf_ended, octet_counted

ENDLESS_NAMES: dict[str, Any] = {
    "hostname": "{pod}{pod}",
    "app_name": "{target}{pod}",
    "procid": "{container}{pod}",
    "msgid": "{scenario}{stream}{pod}",
    "enterprise_id": "1234567890123456789012345",
}


def printable(text: str, longest: int) -> str:
    return "".join(each if "!" <= each <= "~" else "_" for each in text[:longest]) or "-"


@given(whole_batches)
def test_every_message_parses_back_unchanged(source: Batch) -> None:
    messages = [read(each) for each in formatter(scenario="churn")(source)]

    target = source.target
    assert len(messages) == len(source.entries)
    for entry, found in zip(source.entries, messages, strict=True):
        pod, container, stream = (name if isinstance(name, str) else "" for name in entry.key[:3])
        assert (found.facility, found.severity) == (16, 4 if stream == "stderr" else 6)
        assert found.header == (
            printable(pod, 255),
            printable(target.id, 48),
            printable(container, 128),
            "AICORE",
        )
        assert found.sd_id == "aicore@32473"
        params = {
            "timestamp": entry.timestamp,
            "resource_group": target.resource_group,
            "kind": target.kind,
            "target": target.id,
            "scenario": "churn",
            "pod": entry.pod,
            "container": entry.container,
            "stream": entry.stream,
        }
        expected = {key: spelled(text) for key, text in params.items() if isinstance(text, str)}
        if len(expected.get("timestamp", "")) > 40 or "timestamp" not in found.params:
            assert len(expected.pop("timestamp", "-" * 99).encode()) > 30
            found.params.pop("timestamp", None)
        assert list(found.params.items())[1:] == list(expected.items())
        assert found.msg == spelled(message_text(entry.msg))


@given(
    whole_batches,
    st.sampled_from([480, 481, 600, 1023, 1024, 2048]),
    control_characters,
    st.sampled_from(["truncate", "split"]),
    st.sampled_from([{}, ENDLESS_NAMES]),
)
def test_no_message_is_too_long_or_breaks_a_frame(
    source: Batch, max_bytes: int, mode: str, oversize: str, names: dict[str, Any]
) -> None:
    messages = formatter(
        max_bytes=max_bytes,
        control_characters=mode,
        oversize=oversize,
        byte_order_mark=True,
        scenario="s" * 300,
        **names,
    )(source)

    for message in messages:
        found = read(message)
        assert len(message) <= max_bytes
        assert b"\0" not in message
        assert b"\n" not in message
        assert b"\r" not in message
        assert found.msg.startswith("\ufeff")
    assert b"".join(lf_ended(messages)).count(b"\n") == len(messages)


@given(whole_batches, st.sampled_from([480, 600, 1024]), control_characters)
def test_the_parts_of_a_split_line_are_complete(source: Batch, max_bytes: int, mode: str) -> None:
    settings: dict[str, Any] = {"control_characters": mode, "may_hold_newlines": True}
    whole = {
        found.params["id"]: found.msg
        for found in map(read, formatter(max_bytes=LARGE, **settings)(source))
    }
    parts = list(map(read, formatter(max_bytes=max_bytes, oversize="split", **settings)(source)))

    joined: dict[str, str] = {}
    for found in parts:
        id_, _, number = found.params["id"].partition(".")
        assert found.params.get("part", "").partition("/")[0] == number
        joined[id_] = joined.get(id_, "") + found.msg
    assert joined == whole
    assert len({found.params["id"] for found in parts}) == len(parts)


@given(whole_batches, st.sampled_from([480, 600, 1024]))
def test_a_truncated_line_states_the_number_of_removed_bytes(source: Batch, max_bytes: int) -> None:
    whole = [read(each).msg for each in formatter(max_bytes=LARGE)(source)]
    cut = [read(each) for each in formatter(max_bytes=max_bytes)(source)]

    for text, found in zip(whole, cut, strict=True):
        assert text.startswith(found.msg)
        missing = len(text.encode()) - len(found.msg.encode())
        assert missing == int(found.params.get("truncated", 0))


@given(whole_batches)
def test_lines_are_the_same_one_by_one_as_in_a_page(source: Batch) -> None:
    write = formatter()
    alone = [
        write(Batch(source.position, source.target, (entry,), (time_ns,)))
        for entry, time_ns in zip(source.entries, source.times_ns, strict=True)
    ]

    together = [read(each) for each in write(source)]

    assert [
        (found.time, found.header, found.msg, list(found.params.items())[1:]) for found in together
    ] == [
        (found.time, found.header, found.msg, list(found.params.items())[1:])
        for [message] in alone
        for found in [read(message)]
    ]


def test_a_usual_line_is_written_as_documented() -> None:
    [message] = formatter(scenario="churn")(lines("started"))

    assert message == (
        b"<134>1 2024-09-18T16:06:50.914532Z pod-a d1a2 main AICORE [aicore@32473"
        b' id="621262bcc85780da-1" timestamp="2024-09-18T16:06:50.914532860+00:00"'
        b' resource_group="default" kind="deployment" target="d1a2" scenario="churn"'
        b' pod="pod-a" container="main" stream="stdout"] started'
    )


@pytest.mark.parametrize(
    ("timestamp", "time_ns", "shown"),
    [
        ("2024-09-18T16:06:50.914532860+00:00", TIME_NS, "2024-09-18T16:06:50.914532Z"),
        ("2024-09-18T16:06:50.999999999Z", TIME_NS + 85_467_139, "2024-09-18T16:06:50.999999Z"),
        ("2024-09-18T16:06:50.914Z", TIME_NS - 532_860, "2024-09-18T16:06:50.914000Z"),
        ("2024-09-18T18:06:50.9+02:00", TIME_NS - 14_532_860, "2024-09-18T16:06:50.900000Z"),
        ("2016-12-31T23:59:60.500000Z", 1_483_228_800_500_000_000, "2017-01-01T00:00:00.500000Z"),
        ("2024-02-30T16:06:50.914532Z", TIME_NS, "-"),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000_000_000, "-"),
        ("just now", TIME_NS, "-"),
        (None, TIME_NS, "-"),
        (UNSET, TIME_NS, "-"),
    ],
)
def test_the_time_is_the_lines_own_cut_to_microseconds_or_none(
    timestamp: str, time_ns: int, shown: str
) -> None:
    [message] = formatter()(Batch(1, TARGET, (Entry(timestamp, msg="x"),), (time_ns,)))

    assert read(message).time == shown


def test_missing_names_are_omitted() -> None:
    [message] = formatter()(batch(Entry(pod=None, msg="x")))

    found = read(message)
    assert found.header == ("-", "d1a2", "-", "AICORE")
    assert list(found.params) == ["id", "resource_group", "kind", "target"]


def test_a_header_template_of_absent_fields_is_nothing_and_its_own_text_stays() -> None:
    write = formatter(hostname="{pod}{stream}", app_name="ai-{scenario}", msgid="{kind}")

    assert read(write(batch(Entry(msg="x")))[0]).header == ("-", "ai-", "-", "deployment")


def test_a_long_name_is_left_out_and_the_others_stay() -> None:
    [message] = formatter(max_bytes=480)(batch(line("x", pod="p" * 1_000_000)))

    found = read(message)
    assert found.msg == "x"
    assert "pod" not in found.params
    assert found.params["container"] == "main"


def test_long_names_do_not_displace_the_text() -> None:
    source = batch(
        Entry('"' * 40, "p]" * 999, "c" * 999, "stderr", "m" * 999),
        target=Target("g" * 200, Kind.EXECUTION, "i" * 99),
    )
    write = formatter(max_bytes=480, scenario="s" * 99, **ENDLESS_NAMES)

    assert len(read(write(source)[0]).msg) >= 64


def test_a_batch_may_be_written_again_when_its_scenario_has_become_known() -> None:
    known = [""]
    write = build_format(
        SyslogSection(url=("udp://localhost",)),
        max_bytes=LARGE,
        may_hold_newlines=False,
        scenario_of=lambda _: known[0],
    )
    before = read(write(lines("x"))[0]).params
    known[0] = "churn"
    after = read(write(lines("x"))[0]).params

    assert (before.get("scenario"), after["scenario"]) == (None, "churn")
    assert before["id"] == after["id"]


def test_frames_count_bytes_not_characters() -> None:
    assert octet_counted(["ä\n".encode(), b""]) == [b"3 \xc3\xa4\n", b"0 "]
