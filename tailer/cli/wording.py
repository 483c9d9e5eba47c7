"""Numbers as people say them. Pure."""

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """`4m12s`, as `--timeout` would take it; whole seconds, unless there are none."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    rest = round(seconds)
    text = ""
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def lines_text(count: int) -> str:
    return "no lines" if not count else "1 line" if count == 1 else f"{count:,} lines"
