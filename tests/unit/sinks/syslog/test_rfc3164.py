"""RFC 3164, for receivers without RFC 5424."""

import re
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import TARGET, TIME_NS, batch, line, lines
from support.syslog.formatted import control_characters, formatter, spelled, whole_batches

from tailer.model import Batch, Entry
from tailer.sinks.lines import message_text

MESSAGE = re.compile(
    rb"<\d{1,3}>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 123]\d \d\d:\d\d:\d\d"
    rb" [A-Za-z0-9._-]{0,254}[A-Za-z0-9] [A-Za-z0-9]{1,32}(?:\[[!-Z^-~\\]{1,128}\])?: (?P<msg>.*)",
    re.DOTALL,
)
DAY_NS = 86_400_000_000_000


def text_of(message: bytes) -> str:
    found = MESSAGE.fullmatch(message)
    assert found is not None, message
    return found["msg"].decode()


def test_a_usual_line_is_written_as_documented() -> None:
    [message] = formatter(format="rfc3164", facility="user")(lines("started"))

    assert message == b"<14>Sep 18 16:06:50 pod-a d1a2[main]: started"


def test_missing_names_are_omitted_or_unknown() -> None:
    write = formatter(format="rfc3164", app_name="{pod}", procid="-")

    assert write(batch(Entry(msg="x"))) == [b"<134>Sep 18 16:06:50 unknown aicore: x"]


@pytest.mark.parametrize(
    ("time_ns", "timezone", "shown"),
    [
        (TIME_NS, ZoneInfo("Asia/Tokyo"), b"Sep 19 01:06:50"),
        (TIME_NS - 16 * DAY_NS, UTC, b"Sep  2 16:06:50"),
        (-(10**30), UTC, b"Jan  1 00:00:00"),
        (253_402_300_799 * 10**9, ZoneInfo("Asia/Tokyo"), b"Dec 31 23:59:59"),
    ],
)
def test_the_time_is_local_and_its_day_padded_with_a_space(
    time_ns: int, timezone: ZoneInfo, shown: bytes
) -> None:
    write = formatter(format="rfc3164", timezone=timezone)

    assert write(Batch(1, TARGET, (line("x"),), (time_ns,)))[0][5:20] == shown


def test_the_machines_own_zone_is_taken_if_none_is_named() -> None:
    assert len(formatter(format="rfc3164", timezone=None)(lines("x"))) == 1


def test_a_host_name_is_valid_for_rsyslog() -> None:
    write = formatter(format="rfc3164", hostname="{kind}/{pod}: é")

    assert b" deployment_pod-a d1a2[main]: " in write(lines("x"))[0]


def test_a_tag_is_letters_and_digits_only() -> None:
    write = formatter(format="rfc3164", app_name="{kind}/{id}-ä", procid="[{stream}:1]")

    assert b" deploymentd1a2[_stdout_1_]: " in write(lines("x"))[0]


@given(
    whole_batches,
    st.sampled_from([480, 1024]),
    control_characters,
    st.sampled_from(["truncate", "split"]),
)
def test_no_message_is_too_long_or_breaks_a_frame(
    source: Batch, max_bytes: int, mode: str, oversize: str
) -> None:
    write = formatter(
        format="rfc3164",
        max_bytes=max_bytes,
        control_characters=mode,
        oversize=oversize,
        hostname="{pod}{container}",
        procid="{stream}{pod}",
        scenario="s" * 300,
    )

    for message in write(source):
        text_of(message)
        assert len(message) <= max_bytes
        assert not {0, 10, 13} & set(message)


@given(whole_batches)
def test_a_truncated_line_states_the_number_of_removed_bytes(source: Batch) -> None:
    messages = formatter(format="rfc3164", max_bytes=480)(source)

    for entry, message in zip(source.entries, messages, strict=True):
        whole, text = spelled(message_text(entry.msg)), text_of(message)
        kept, _, cut = text.removesuffix(" bytes]").rpartition(" [+")
        if text != whole:
            assert whole.startswith(kept)
            assert len(whole.encode()) == len(kept.encode()) + int(cut)


def test_the_parts_of_a_split_line_are_complete() -> None:
    whole = "".join(f"{number} größer," for number in range(500))
    messages = formatter(format="rfc3164", max_bytes=1024, oversize="split")(lines(whole))

    texts = [text_of(message) for message in messages]
    parts = [text.removeprefix(f"({n}/{len(texts)}) ") for n, text in enumerate(texts, 1)]
    assert "".join(parts) == whole
    assert len(parts) > 5
