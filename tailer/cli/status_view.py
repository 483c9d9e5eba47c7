"""Tables of `tailer status`, rendered from the status document."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tailer.cli.wording import duration_text
from tailer.sinks.escape import visible
from tailer.statuspage.document import Document, SinkStatus, TargetStatus

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_STYLES = {
    "following": "green",
    "ended": "cyan",
    "gone": "yellow",
    "catching_up": "yellow",
    "backing_off": "red",
    "failed": "red",
}
_KIB = 1024


def status_view(seen: Document, *, most_targets: int | None = None) -> "RenderableType":
    """Render `seen`, with at most `most_targets` rows of targets. The urgent ones come first."""
    from rich.console import Group
    from rich.text import Text

    shown = seen.targets[:most_targets]
    left_out = len(seen.targets) - len(shown) + seen.targets_left_out
    parts: list[RenderableType] = [_headline(seen), Text("")]
    parts.append(_targets(shown))
    if left_out:
        parts.append(Text(f"and {left_out} more targets", style="dim"))
    parts += [Text(""), _sinks(seen.sinks), Text("")]
    parts += [Text(line) for line in _lines(seen)]
    return Group(*parts)


def _headline(seen: Document) -> "RenderableType":
    from rich.text import Text

    problems = [*_problems(seen)]
    verdict = "healthy" if seen.is_healthy else "UNHEALTHY"
    if seen.is_healthy and not seen.is_ready:
        verdict = "starting"
    elif seen.is_healthy and problems:
        verdict = "degraded"
    line = Text(f"tailer {seen.tailer}, up for {duration_text(seen.uptime_s)}: ")
    line.append(verdict, style="green" if verdict == "healthy" else "bold red")
    if problems:
        line.append(f" ({visible(', '.join(problems))})")
    for reason in (*seen.stalled, *seen.not_ready):
        line.append(f"\n  {visible(reason)}")
    return line


def _problems(seen: Document) -> Iterator[str]:
    """Problems that a restart does not fix, so /healthz does not report them."""
    for phase in ("failed", "backing_off"):
        count = seen.targets_by_phase.get(phase, 0)
        if count:
            yield f"{count} target{'' if count == 1 else 's'} {phase.replace('_', ' ')}"
    failing = [one for one in seen.sinks if one.backing_off_for_s is not None]
    yield from (f"sink {one.sink} backing off" for one in failing)
    if seen.spool.is_full or seen.spool.blocked_reason:
        yield "spool full" if seen.spool.is_full else "spool blocked"
    yield from (f"no list of {listing.what}" for listing in seen.listings if listing.reason)


def _targets(rows: Sequence[TargetStatus]) -> "Table":
    with_groups = len({row.resource_group for row in rows}) > 1
    headings = [*(["GROUP"] if with_groups else []), "TARGET", "PHASE", "BEHIND", "LINES"]
    table = _table([*headings, "LAST LINE", "REASON"], right=("BEHIND", "LINES", "LAST LINE"))
    for row in rows:
        cells = [
            *([row.resource_group] if with_groups else []),
            row.target,
            row.phase,
            _span(row.behind_s),
            f"{row.lines:,}",
            "-" if row.last_line_age_s is None else f"{_span(row.last_line_age_s)} ago",
            _reason(row),
        ]
        table.add_row(*map(visible, cells), style=_STYLES.get(row.phase, ""))
    return table


def _reason(row: TargetStatus) -> str:
    parts = [row.reason] if row.reason else []
    if row.phase in {"backing_off", "failed"}:
        parts.append(f"for {_span(row.phase_age_s)}")
    if row.next_try_in_s is not None:
        parts.append(f"retry in {_span(row.next_try_in_s)}")
    if row.gaps:
        parts.append("gaps: " + _counts(row.gaps))
    return ", ".join(parts)


def _sinks(rows: Sequence[SinkStatus]) -> "Table":
    table = _table(["SINK", "STATE", "LAG", "PENDING", "DELIVERED", "LAST ERROR"], right=("LAG",))
    for row in rows:
        state = "up" if row.is_up else "backing off" if row.backing_off_for_s is not None else "-"
        error = row.last_error
        if error and row.last_error_age_s is not None:
            error += f" ({_span(row.last_error_age_s)} ago)"
        if row.next_try_in_s is not None:
            error += f", retry in {_span(row.next_try_in_s)}"
        cells = [
            row.sink,
            state,
            _span(row.lag_s),
            f"{row.lag_lines:,} lines",
            f"{row.delivered_lines:,} lines",
            error,
        ]
        style = "green" if row.is_up else "red" if state == "backing off" else ""
        table.add_row(*map(visible, cells), style=style)
    return table


def _lines(seen: Document) -> Iterable[str]:
    spool = seen.spool
    full = ", FULL: polling paused" if spool.is_full else ""
    blocked = f", blocked: {spool.blocked_reason}" if spool.blocked_reason else ""
    yield visible(
        f"spool: {_size(spool.bytes)} of {_size(spool.max_bytes)}, "
        f"oldest pending line {_span(spool.oldest_s)}{full}{blocked}"
    )
    requests = seen.requests
    yield (
        f"requests: {_counts(requests.answers) or 'none yet'}; {requests.retries} retries; "
        f"{requests.rate_per_s:g} of {requests.limit_per_s:g} per second allowed"
    )
    failing = [listing for listing in seen.listings if listing.reason]
    yield from (visible(f"no list of {one.what}: {one.reason}") for one in failing)
    yield f"gaps: {_counts(seen.gaps) or 'none'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else duration_text(seconds)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < _KIB:
            return f"{count:.0f} {unit}"
        count /= _KIB
    return f"{count:.1f} GiB"


def _table(headings: Sequence[str], *, right: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_wide = heading in {"REASON", "LAST ERROR"}
        table.add_column(
            heading,
            no_wrap=not is_wide,
            justify="right" if heading in right else "left",
            overflow="ellipsis",
        )
    return table
