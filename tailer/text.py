"""Make untrusted text safe to print; texts of durations, sizes and counts. Pure.

Log lines are untrusted: an ESC can move the cursor or change the window's title, a C1 byte
does the same without an ESC, bidi marks reorder the text, invisible characters hide it.
A tab is harmless.
"""

import re
from decimal import Decimal
from typing import Final

_CONTROL_CHARACTERS = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])  # all C0 but tab, newline
_UNSAFE_CHARACTERS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff"  # invisible
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # reverse the direction of the text
    "\u2028\u2029"  # further line ends
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and tags
    "\ud800-\udfff"  # half of a surrogate pair
)
_UNSAFE_IN_LINE = re.compile(f"[\n{_UNSAFE_CHARACTERS}]")
_UNSAFE_IN_PAGE = re.compile(f"[{_UNSAFE_CHARACTERS}]")


def encode(text: str) -> bytes:
    r"""UTF-8. Half of a surrogate pair, which has no bytes, is escaped as in JSON: `\ud800`."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


def is_plain(page: str) -> bool:
    """Whether `visible` would change only newlines. Fast for whole pages, as most are plain."""
    if page.isascii():
        encoded = page.encode()
        return len(encoded.translate(None, _CONTROL_CHARACTERS)) == len(encoded)
    return _UNSAFE_IN_PAGE.search(page) is None


def visible(text: str) -> str:
    r"""`text` with each unsafe character escaped: `\x1b`, `\u202e`.

    A backslash stays single: the result is for display and cannot be decoded.
    """
    return _UNSAFE_IN_LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def visible_json(page: bytes) -> bytes:
    """JSON lines with the same values, and every unsafe character escaped; JSON escapes only C0."""
    if page.isascii() and b"\x7f" not in page:
        return page
    return visible_json_text(page.decode()).encode()


def visible_json_text(page: str) -> str:
    """The same for text that may contain half of a surrogate pair."""
    return _UNSAFE_IN_PAGE.sub(_escaped_for_json, page)


def _escaped_for_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """`4m12s`, as `--timeout` accepts it; whole seconds, or milliseconds below one second."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    left_s = round(seconds)
    text = ""
    for unit, size in _UNITS:
        count, left_s = divmod(left_s, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def lines_text(count: int) -> str:
    return "no lines" if not count else "1 line" if count == 1 else f"{count:,} lines"


def size_text(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        size /= 1000
    return f"{size:.3g} TB"


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
