"""What somebody types when asked which of a list to follow. Pure."""

import re
from collections.abc import Sequence

from tailer.model import Kind, Status, Workload

_RANGE = r"[0-9]{1,9}(?:\s*-\s*[0-9]{1,9})?"
_NUMBERS = re.compile(rf"{_RANGE}(?:[\s,]+{_RANGE})*")
_ALL = ("a", "all")
RUNNING = {  # or about to
    Kind.DEPLOYMENT: (Status.RUNNING,),
    Kind.EXECUTION: (Status.RUNNING, Status.PENDING, Status.UNKNOWN),
}


def is_running(workload: Workload) -> bool:
    """Whether it is worth following by somebody who names nothing."""
    return workload.status in RUNNING[workload.target.kind]


def picked(answer: str, shown: Sequence[Workload]) -> list[Workload] | None:
    """Those meant by `a`, `2`, `1,3-5` or `1 3`, each once; None if it is a text to look for.

    Raises:
        ValueError: A number that is not shown; its text says so.
    """
    answer = answer.strip().strip(",").lower()
    if answer in _ALL:
        return list(shown)
    if _NUMBERS.fullmatch(answer) is None:
        return None
    chosen: dict[int, Workload] = {}
    for part in re.findall(_RANGE, answer):
        first, _, last = part.partition("-")
        numbers = sorted((int(first), int(last or first)))
        for number in numbers:
            if not 1 <= number <= len(shown):
                raise ValueError(f"there is no {number}, only 1 to {len(shown)}")
        chosen |= {number: shown[number - 1] for number in range(numbers[0], numbers[1] + 1)}
    return list(chosen.values())


def found(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """Those that have every word of `text` somewhere, in whatever case."""
    words = text.casefold().split()
    return [one for one in workloads if all(word in _told(one) for word in words)]


def named(text: str, workloads: Sequence[Workload]) -> list[Workload]:
    """Those whose whole id or name this is."""
    return [one for one in workloads if text.strip() in {one.target.id, one.target.name}]


def _told(workload: Workload) -> str:
    target = workload.target
    said = (
        target.name,
        target.resource_group,
        workload.status,
        workload.scenario_id,
        workload.executable_id,
        workload.configuration_name,
    )
    return "\n".join(said).casefold()
