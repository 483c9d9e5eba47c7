"""Wall time in a time zone."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tailer.errors import ConfigError
from tailer.timestamp import NS_PER_MS, NS_PER_S

_SECONDS_LENGTH = len("2024-09-18T18:06:50")
_MAX_LENGTH = len("2024-09-18T18:06:50+02:00")


def timezone_named(name: str) -> tzinfo | None:
    """Parse `UTC`, a name such as `Europe/Berlin`, or `local`, which is None.

    A tzinfo cannot represent the machine's time zone: its offset depends on the date.

    Raises:
        ConfigError: Unknown time zone.
    """
    if name.lower() == "local":
        return None
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a directory
        raise ConfigError(
            f"no time zone is named {name!r}",
            hint='use "local", "UTC", or a name such as "Europe/Berlin"; '
            "the system package tzdata has the names",
        ) from error


class WallTime:
    """Formats ns as `2024-09-18T18:06:50.914+02:00`: to milliseconds, accepted by --since.

    Successive lines often share their second, so its text is cached.
    """

    def __init__(self, timezone: tzinfo | None) -> None:
        self._parts = lru_cache(maxsize=1)(partial(_parts, timezone))

    def __call__(self, ns: int) -> str:
        second, rest_ns = divmod(ns, NS_PER_S)
        seconds, offset = self._parts(second)
        return f"{seconds}.{rest_ns // NS_PER_MS:03d}{offset}"


def _parts(timezone: tzinfo | None, second: int) -> tuple[str, str]:
    """The text before and after the fraction; in UTC if the zone has no valid offset."""
    utc = datetime.fromtimestamp(second, UTC)
    try:
        text = utc.astimezone(timezone).isoformat()
    except (OverflowError, ValueError):  # at the start of year 1, the end of year 9999
        text = utc.isoformat()
    if len(text) > _MAX_LENGTH:  # before about 1900, offsets have seconds
        text = utc.isoformat()
    seconds, offset = text[:_SECONDS_LENGTH], text[_SECONDS_LENGTH:]
    return seconds, "Z" if offset == "+00:00" else offset
