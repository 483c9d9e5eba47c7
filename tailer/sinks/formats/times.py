"""Times for people, in a time zone of their choice."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tailer.errors import ConfigError
from tailer.timestamp import NS_PER_MS, NS_PER_S

_WHOLE = len("2024-09-18T18:06:50")
_LONGEST = len("2024-09-18T18:06:50+02:00")


def timezone_named(name: str) -> tzinfo | None:
    """`UTC`, a name such as `Europe/Berlin`, or `local`, for which None stands.

    No tzinfo can stand for the machine's own zone: its offset depends on the date.

    Raises:
        ConfigError: No such time zone.
    """
    if name.lower() == "local":
        return None
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder is an OSError
        raise ConfigError(
            f"no time zone is named {name!r}",
            hint='"local", "UTC", or a name such as "Europe/Berlin"; '
            "the system package tzdata has the names",
        ) from error


class WallTime:
    """Nanoseconds to `2024-09-18T18:06:50.914+02:00`: cut to milliseconds, can be pasted back.

    Neighbors share their second, so the last one is kept.
    """

    def __init__(self, timezone: tzinfo | None) -> None:
        self._timezone = timezone
        self._second: int | None = None
        self._shown = ("", "")

    def __call__(self, ns: int) -> str:
        second, rest_ns = divmod(ns, NS_PER_S)
        if second != self._second:
            self._shown = self._split(second)
            self._second = second
        whole, zone = self._shown
        return f"{whole}.{rest_ns // NS_PER_MS:03d}{zone}"

    def _split(self, second: int) -> tuple[str, str]:
        """What comes before the fraction and what after it; UTC if the zone cannot say it."""
        utc = datetime.fromtimestamp(second, UTC)
        try:
            text = utc.astimezone(self._timezone).isoformat()
        except (OverflowError, ValueError):  # at the edge of the first or the last year
            text = utc.isoformat()
        if len(text) > _LONGEST:  # before zones were invented, offsets had seconds
            text = utc.isoformat()
        whole, zone = text[:_WHOLE], text[_WHOLE:]
        return whole, "Z" if zone == "+00:00" else zone
