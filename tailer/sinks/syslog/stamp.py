"""Times as the two formats write them. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from tailer.model import Text
from tailer.timestamp import NS_PER_S, parse_ns

NILVALUE: Final = "-"
_SECONDS: Final = len("2024-09-18T16:06:50")
_MILLISECONDS: Final = len("2024-09-18T16:06:50.914")
_MICROSECONDS: Final = len("2024-09-18T16:06:50.914532")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)  # strftime would use the locale's

# As the service writes them. The date may still be none, and a leap second is not for syslog.
_WHOLE: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d"
_TO_THE_NANOSECOND: Final = re.compile(rf"{_WHOLE}\.\d{{6,9}}(?:Z|\+00:00)", re.ASCII)
_TO_THE_MILLISECOND: Final = re.compile(rf"{_WHOLE}\.\d{{3}}(?:Z|\+00:00)", re.ASCII)


def usual_stamps(timestamps: Sequence[Text]) -> list[str] | None:
    """RFC 5424's times of a whole page, or None if they must be looked at one by one.

    Cut out of the page's own texts, which takes a third of the time.
    """
    texts = [text for text in timestamps if text.__class__ is str]
    if len(texts) < len(timestamps):
        return None
    if all(map(_TO_THE_NANOSECOND.fullmatch, texts)):
        stamps = [f"{text[:_MICROSECONDS]}Z" for text in texts]
    elif all(map(_TO_THE_MILLISECOND.fullmatch, texts)):
        stamps = [f"{text[:_MILLISECONDS]}000Z" for text in texts]
    else:
        return None
    return stamps if all(_is_time(f"{second}Z") for second in _seconds(texts)) else None


def _seconds(texts: Sequence[str]) -> set[str]:
    """Few: neighbours share them."""
    return {text[:_SECONDS] for text in texts}


def utc_stamp(timestamp: Text, time_ns: int) -> str:
    """RFC 5424's time: in UTC, six digits, cut and not rounded.

    NILVALUE for an entry whose own timestamp cannot be read: the time that it has been
    given is its neighbour's. Also for a time outside the years 1 to 9999.
    """
    if not isinstance(timestamp, str) or not _is_time(timestamp):
        return NILVALUE
    second, rest_ns = divmod(time_ns, NS_PER_S)
    try:
        whole = datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError):
        return NILVALUE
    return f"{whole.isoformat()[:_SECONDS]}.{rest_ns // 1000:06d}Z"


def _is_time(timestamp: str) -> bool:
    try:
        parse_ns(timestamp)
    except ValueError:
        return False
    return True


class LocalStamps:
    """RFC 3164: `Sep  8 18:06:50`, local time without a year. No time is unknown to it.

    Neighbours share their second, so the last one is kept.
    """

    def __init__(self, timezone: tzinfo | None) -> None:
        self._timezone = timezone
        self._second: int | None = None
        self._shown = ""

    def __call__(self, time_ns: int) -> str:
        second = time_ns // NS_PER_S
        if second != self._second:
            local = _local(second, self._timezone)
            self._shown = f"{_MONTHS[local.month - 1]} {local.day:2d} {local:%H:%M:%S}"
            self._second = second
        return self._shown


def _local(second: int, timezone: tzinfo | None) -> datetime:
    """UTC at the edge of the first or the last year, the epoch beyond it."""
    try:
        utc = datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError):
        return _EPOCH
    try:
        return utc.astimezone(timezone)
    except (ValueError, OverflowError, OSError):
        return utc
