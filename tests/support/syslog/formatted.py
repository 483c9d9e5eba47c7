"""Syslog messages of made-up batches."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET
from support.batches import TIME_NS, any_text, entries, targets

from tailer.config.settings import SyslogSection
from tailer.model import Batch, Entry, Target
from tailer.sinks.syslog.build import build_format
from tailer.timestamp import parse_ns

LARGE = 16 * 1024 * 1024


def formatter(
    *,
    max_bytes: int = LARGE,
    may_hold_newlines: bool = False,
    scenario: str = "",
    timezone: tzinfo | None = UTC,
    **settings: Any,
) -> Callable[[Batch], list[bytes]]:
    return build_format(
        SyslogSection(url=("udp://localhost",), **settings),
        max_bytes=max_bytes,
        may_hold_newlines=may_hold_newlines,
        scenario_of=lambda _: scenario,
        timezone=timezone,
    )


def spelled(text: str) -> str:
    """As "escape" is documented, said once more."""
    return "".join(
        f"\\x{ord(each):02x}"
        if (each < " " and each != "\t") or "\x7f" <= each <= "\x9f"
        else f"\\u{ord(each):04x}"
        if each in "\u2028\u2029" or "\ud800" <= each <= "\udfff"
        else each
        for each in text
    )


_long_text = st.builds(lambda text, times: text * times, any_text, st.integers(0, 700))
_any_length = any_text | _long_text | st.none() | st.just(UNSET)
_usual_times = st.sampled_from(
    [
        "2024-09-18T16:06:50.914532860+00:00",
        "2024-09-18T16:06:50.914532Z",
        "2024-09-18T16:06:50.914Z",
        "2024-09-18T16:06:50.9+02:00",
        "2016-12-31T23:59:60.123456Z",
    ]
)
long_entries = st.builds(
    Entry, _usual_times | _any_length, _any_length, _any_length, _any_length, _any_length
)


def _time_ns(entry: Entry, undated_ns: int) -> int:
    try:
        return parse_ns(entry.timestamp)  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        return undated_ns


def _batch(position: int, target: Target, some: list[Entry], step_ns: int) -> Batch:
    times_ns = (_time_ns(entry, TIME_NS + n * step_ns) for n, entry in enumerate(some))
    return Batch(position, target, tuple(some), tuple(times_ns))


positions = st.integers(0, 2**63)
whole_batches = st.builds(
    _batch,
    positions,
    targets,
    st.lists(entries | long_entries, max_size=6),
    st.sampled_from([0, 1]),
)
control_characters = st.sampled_from(["escape", "octal", "raw"])
