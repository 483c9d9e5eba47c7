from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from tailer.timestamp import NS_PER_MS, NS_PER_S, format_ns, parse_ns, resolution_ns

NANOSECONDS = st.integers(-62_135_596_800 * NS_PER_S, 253_402_300_799 * NS_PER_S)


@given(NANOSECONDS)
@example(0)
@example(-1)
@example(999_999_999)
def test_what_is_formatted_parses_to_the_same_nanosecond(ns: int) -> None:
    assert parse_ns(format_ns(ns)) == ns


@given(
    moment=st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    minutes=st.integers(-23 * 60 - 59, 23 * 60 + 59),
    digits=st.integers(0, 9),
)
def test_any_fraction_and_offset_equals_the_result_of_datetime(
    moment: datetime, minutes: int, digits: int
) -> None:
    zone = timezone(timedelta(minutes=minutes))
    whole = moment.replace(microsecond=0, tzinfo=zone)
    fraction = f"{moment.microsecond:06d}123"[:digits]
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    text = f"{whole.replace(tzinfo=None).isoformat()}{'.' + fraction if fraction else ''}{offset}"

    expected_s = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert parse_ns(text) == expected_s * NS_PER_S + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:01.5Z", 1_500_000_000),
        ("2021-11-22T06:52:27.831955906+00:00", 1_637_563_947_831_955_906),
        ("2021-11-22T06:52:27.831955906999Z", 1_637_563_947_831_955_906),
        ("2021-11-22T08:52:27.831+02:00", 1_637_563_947_831_000_000),
        ("2021-11-22T08:52:27.831+0200", 1_637_563_947_831_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
    ],
)
def test_every_spelling_of_a_time_is_understood(text: str, ns: int) -> None:
    assert parse_ns(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2021-11-22",
        "2021-11-22T06:52:27",
        "2021-11-22T06:52:27.Z",
        "2021-11-22T06:52:27.1²Z",
        "2021-13-22T06:52:27Z",
        "2021-02-30T06:52:27Z",
        "2021-11-22T24:00:00Z",
        "2021-11-22T06:60:27Z",
        "2021-11-22T06:52:61Z",
        "2021-11-22T06:52:27+24:00",
        "2021-11-22T06:52:27 Z",
        "٢٠٢١-11-22T06:52:27Z",
        "2021-11-22T06:52:27.123Zjunk",
        "2021-11-22T06:52:27.123+00:00\n",
    ],
)
def test_what_is_not_a_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="no"):
        parse_ns(text)


@given(st.text(max_size=40))
def test_any_text_parses_or_raises_value_error(text: str) -> None:
    with suppress(ValueError):
        assert format_ns(parse_ns(text))


@pytest.mark.parametrize(
    ("text", "step_ns"),
    [
        ("2021-11-22T06:52:27Z", NS_PER_S),
        ("2021-11-22T06:52:27.334+00:00", NS_PER_MS),
        ("2021-11-22T06:52:27.331955906Z", 1),
        ("2021-11-22T06:52:27.331955906123Z", 1),
        ("nonsense", NS_PER_S),
    ],
)
def test_the_digits_show_the_resolution_of_the_store(text: str, step_ns: int) -> None:
    assert resolution_ns(text) == step_ns


def test_times_are_sent_with_milliseconds_unless_more_is_needed() -> None:
    assert format_ns(1_334_000_000) == "1970-01-01T00:00:01.334Z"
    assert format_ns(1_334_000_001) == "1970-01-01T00:00:01.334000001Z"
