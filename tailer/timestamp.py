"""RFC 3339 to integer nanoseconds and back. Pure.

`datetime` stops at microseconds and the service returns nanoseconds, so a cursor built on
it would skip lines. Whole seconds are cached, because adjacent lines share them.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_WHOLE_SECOND = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)", re.ASCII
)
_FRACTION_AND_ZONE = re.compile(r"(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))", re.ASCII)
_STEP_NS = tuple(int(10 ** (9 - digits)) for digits in range(10))  # of the nth fraction digit
_WHOLE = 19  # characters of "2024-09-18T16:06:50"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with any number of fraction digits.

    Digits past the ninth are cut. A leap second counts as the second after it.

    Raises:
        ValueError: Not an RFC 3339 time, or no such date.
    """
    if text.endswith("+00:00"):
        digits = text[_WHOLE + 1 : -6]
    elif text.endswith("Z"):
        digits = text[_WHOLE + 1 : -1]
    else:
        return _parse_with_offset(text)
    if digits.isdecimal() and digits.isascii() and len(digits) <= 9 and text[_WHOLE] == ".":  # noqa: PLR2004
        return _utc_s(text[:_WHOLE]) * NS_PER_S + int(digits) * _STEP_NS[len(digits)]
    return _parse_with_offset(text)


def ns_or_none(text: object) -> int | None:
    """As `parse_ns`; None if `text` is missing or not a time."""
    try:
        return parse_ns(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _parse_with_offset(text: str) -> int:
    match = _FRACTION_AND_ZONE.fullmatch(text, _WHOLE)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    digits, sign, hours, minutes = match.groups()
    offset_s = 0 if sign is None else (int(hours) * 60 + int(minutes)) * 60
    if sign == "-":
        offset_s = -offset_s
    fraction_ns = int((digits or "")[:9].ljust(9, "0"))
    return (_utc_s(text[:_WHOLE]) - offset_s) * NS_PER_S + fraction_ns


@lru_cache(maxsize=256)
def _utc_s(text: str) -> int:
    match = _WHOLE_SECOND.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    try:
        to_the_minute = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"no such date: {text!r}") from error
    return int((to_the_minute - _EPOCH).total_seconds()) + second


def format_ns(ns: int) -> str:
    """The `Z` form, because a raw `+` in a query is a space; 3 fraction digits, or 9 if needed."""
    seconds, rest_ns = divmod(ns, NS_PER_S)
    whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    if rest_ns % NS_PER_MS == 0:
        return f"{whole}.{rest_ns // NS_PER_MS:03d}Z"
    return f"{whole}.{rest_ns:09d}Z"


def resolution_ns(text: str) -> int:
    """The step of the last fraction digit: 1_000_000 for `….334Z`, 1 for nine digits or more."""
    match = _FRACTION_AND_ZONE.fullmatch(text, _WHOLE)
    digits = match[1] if match is not None else None
    return _STEP_NS[min(len(digits), 9)] if digits else NS_PER_S
