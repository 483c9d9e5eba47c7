"""What is missing altogether, and values that are right by themselves and wrong together. Pure.

`right` are the values of a table that are right by themselves; `written` is all that the
table has, because a wrong value is not an absent one.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from tailer.config.complaints import Complaints
from tailer.config.settings import ALL_GROUPS, SELECTOR_KEYS, PollSection
from tailer.config.syslog_contradictions import check_syslog

Right: TypeAlias = Mapping[str, Any]
Written: TypeAlias = Mapping[str, Any]


def check_presence(document: Written, complaints: Complaints) -> None:
    if not document.get("watch"):
        complaints.add(
            (),
            "there is no [[watch]], so nothing would be read; "
            'write [[watch]] and below it targets = ["deployment/ID"]',
        )
    if not document.get("sink"):
        complaints.add(
            (),
            "there is no [[sink]], so lines would go nowhere; "
            'write [[sink]] and below it kind = "file" and a path',
        )


def check_poll(right: Right, written: Written, complaints: Complaints) -> None:
    if any(key in written and key not in right for key in ("interval_s", "idle_interval_s")):
        return
    poll = PollSection(**right)
    if poll.idle_interval_s < poll.interval_s:
        key = "idle_interval_s" if "idle_interval_s" in written else "interval_s"
        complaints.add(
            ("poll", key),
            f"idle_interval_s is {poll.idle_interval_s:g} and interval_s {poll.interval_s:g}, "
            "but silence needs no quicker polls; "
            f"write idle_interval_s = {poll.interval_s:g} or more",
        )


def check_watches(watches: Sequence[tuple[Right, Written]], complaints: Complaints) -> None:
    first_watch_of: dict[tuple[str | None, str], int] = {}
    for number, (right, written) in enumerate(watches):
        place = ("watch", number, "targets")
        selecting = next((key for key in SELECTOR_KEYS if key in written), None)
        if selecting is None and not written.get("targets"):
            complaints.add(
                place,
                'nothing is watched here; write targets = ["deployment/ID"] (`tailer list` shows '
                'what there is), or kind = "execution" for all executions',
            )
        elif selecting is not None and "targets" in written:
            complaints.add(
                ("watch", number, selecting),
                "contradicts targets, which are followed whatever they are; "
                "leave one of them out, or give it a [[watch]] of its own",
            )
        _check_groups(number, right, complaints)
        for target in right.get("targets", ()):
            first = first_watch_of.setdefault((right.get("resource_group"), target), number)
            if right["targets"].count(target) > 1:
                complaints.add(place, f'"{target}" is in the list twice; once is enough')
            elif first != number:
                other = complaints.title("watch", first)
                complaints.add(place, f'"{target}" is in {other} already; once is enough')


def _check_groups(number: int, right: Right, complaints: Complaints) -> None:
    groups = right.get("resource_group") or ()
    place = ("watch", number, "resource_group")
    if right.get("targets") and (ALL_GROUPS in groups or len(groups) > 1):
        complaints.add(
            place,
            "targets are in one resource group; name it, and write a [[watch]] for each",
        )
    elif ALL_GROUPS in groups and len(groups) > 1:
        complaints.add(place, f'"{ALL_GROUPS}" is all of them already; write "{ALL_GROUPS}" alone')


def check_sinks(sinks: Sequence[tuple[Right, Written]], complaints: Complaints) -> None:
    first_sink_of: dict[PurePosixPath, int] = {}
    for number, (right, _) in enumerate(sinks):
        path = PurePosixPath(right["path"]) if "path" in right else None
        if path is not None and (first := first_sink_of.setdefault(path, number)) != number:
            complaints.add(
                ("sink", number, "path"),
                f"{complaints.title('sink', first)} writes there already, and two writers "
                "would cut each other's lines; take another path",
            )
        if "template" in right and right.get("format", "text") != "text":
            complaints.add(
                ("sink", number, "template"),
                f'contradicts format = "{right["format"]}"; leave one of them out',
            )
        if right.get("kind") == "syslog":
            check_syslog(number, right, complaints)
    _check_names(sinks, complaints)


def _check_names(sinks: Sequence[tuple[Right, Written]], complaints: Complaints) -> None:
    first_sink_of: dict[str, int] = {}
    for number, (right, written) in enumerate(sinks):
        name = sink_name(right)
        if name is None or ("name" in written and "name" not in right):
            continue
        first = first_sink_of.setdefault(name, number)
        if first == number:
            continue
        other = complaints.title("sink", first)
        what = f'is "{name}", as that of {other}'
        if "name" not in written:
            what = f'is missing, and would be "{name}", as that of {other}'
        complaints.add(
            ("sink", number, "name"),
            f'{what}; write name = "{name}-{number + 1}" or the like, and keep it: '
            "it is the sink's place in the spool",
        )


def sink_name(right: Right) -> str | None:
    """Its own, else its kind: a number would change with the order in the file."""
    name: str | None = right.get("name", right.get("kind"))
    return name
