"""Durations and sizes with units, as flags and configuration keys accept them. Pure."""

import re
from decimal import Decimal
from typing import Final

_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmgtp]?)(i?)b", re.ASCII)


def parse_duration(text: str) -> float | None:
    """Seconds of `10m`, `1h30m` or `500ms`; None if `text` is not a duration with units."""
    if not _DURATION.fullmatch(text):
        return None
    return float(sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text)))


def parse_size(text: str) -> int | None:
    """Bytes of `1GB` (10^9) or `128MiB` (128 * 2^20); None if `text` is not a size with a unit."""
    found = _SIZE.fullmatch(text.lower())
    if found is None or (found[3] and not found[2]):
        return None
    size = Decimal(found[1]) * (1024 if found[3] else 1000) ** " kmgtp".index(found[2] or " ")
    return int(size) if size == int(size) else None
