"""Deployments and executions as a table for people."""

from collections.abc import Iterable, Sequence

from tailer.model import Status, Workload
from tailer.sinks.escape import visible
from tailer.timestamp import NS_PER_S, parse_ns

_STYLES = {
    Status.RUNNING: "green",
    Status.COMPLETED: "cyan",
    Status.DEAD: "red",
    Status.STOPPED: "yellow",
}
_GIVE_WAY = ("SCENARIO", "CONFIGURATION")  # to the others, which are needed whole
_NARROW = 64  # columns; the others alone take some sixty


def newest_first(workloads: Iterable[Workload]) -> list[Workload]:
    """Those whose age is unknown come last."""
    return sorted(workloads, key=lambda one: (-created_ns(one), one.target))


def created_ns(workload: Workload) -> int:
    """0 if that is no date."""
    try:
        return parse_ns(workload.created_at)
    except ValueError:
        return 0


def age_text(workload: Workload, now_ns: int) -> str:
    """`3d`, `5h`, `12m`, `40s`: the largest unit is enough to tell old from new."""
    began_ns = created_ns(workload)
    if not began_ns:
        return "-"
    seconds = max(0, (now_ns - began_ns) // NS_PER_S)
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"


def table_text(
    workloads: Sequence[Workload],
    *,
    now_ns: int,
    width: int,
    colour: bool,
    numbered: bool = False,
    with_groups: bool = False,
) -> str:
    """One line each, none longer than `width`; numbered from 1."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=not colour, force_terminal=colour, width=width, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    if numbered:
        table.add_column("#", justify="right", no_wrap=True)
    headings = ["TARGET", "STATUS", "AGE", *(_GIVE_WAY if width >= _NARROW else ())]
    for heading in [*(["GROUP"] if with_groups else []), *headings]:
        table.add_column(heading, no_wrap=heading not in _GIVE_WAY)
    for number, one in enumerate(workloads, 1):
        cells = [one.target.name, one.status, age_text(one, now_ns)]
        if width >= _NARROW:
            cells += [one.scenario_id, one.configuration_name]
        if with_groups:
            cells.insert(0, one.target.resource_group)
        texts = [Text(visible(cell), no_wrap=True, overflow="ellipsis") for cell in cells]
        texts[2 if with_groups else 1].stylize(_STYLES.get(one.status, ""))
        table.add_row(*([Text(str(number))] if numbered else []), *texts)
    with console.capture() as drawn:  # rich ends the program itself when a reader leaves
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in drawn.get().split("\n")[:-1])
