"""Times as people read them."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.batches import TIME_NS

from tailer.errors import ConfigError
from tailer.sinks.formats.times import WallTime, timezone_named
from tailer.timestamp import NS_PER_MS, NS_PER_S, parse_ns


def test_utc_has_a_z() -> None:
    assert WallTime(UTC)(TIME_NS) == "2024-09-18T16:06:50.914Z"


def test_another_zone_has_its_offset() -> None:
    assert WallTime(ZoneInfo("Europe/Berlin"))(TIME_NS) == "2024-09-18T18:06:50.914+02:00"


def test_the_offset_is_valid_at_the_date() -> None:
    in_winter_ns = parse_ns("2024-12-24T17:00:00Z")

    assert WallTime(ZoneInfo("Europe/Berlin"))(in_winter_ns) == "2024-12-24T18:00:00.000+01:00"


@pytest.mark.parametrize("timezone", [None, UTC, ZoneInfo("Asia/Kolkata")])
@given(st.lists(st.integers(-(10**18), 10**19), min_size=1, max_size=3))
def test_a_formatted_time_parses_back_to_the_millisecond(
    timezone: ZoneInfo | None, times_ns: list[int]
) -> None:
    shown = WallTime(timezone)

    assert [parse_ns(shown(ns)) for ns in times_ns] == [ns - ns % NS_PER_MS for ns in times_ns]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_first_and_the_last_day_can_be_formatted(text: str, zone: str) -> None:
    shown = WallTime(ZoneInfo(zone))(parse_ns(text))

    assert abs(parse_ns(shown) - parse_ns(text)) < 60 * NS_PER_S


@pytest.mark.parametrize("name", ["UTC", "utc"])
def test_utc_needs_no_time_zone_files(name: str) -> None:
    assert timezone_named(name) is UTC


def test_the_machines_own_zone_is_none() -> None:
    assert timezone_named("local") is None


def test_a_zone_is_found_by_its_name() -> None:
    assert timezone_named("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "Europe", "../../etc/passwd", "/etc/passwd", "a\0b"]
)
def test_an_unknown_time_zone_is_rejected(name: str) -> None:
    with pytest.raises(ConfigError, match="no time zone is named"):
        timezone_named(name)
