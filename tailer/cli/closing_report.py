"""What is said on stderr in the end: why a job is DEAD, and a line of verdict for each. Pure.

It is for people, terminal or not: programs have the exit code and the summary.
"""

from tailer.cli.wording import duration_text, lines_text
from tailer.health import Phase, TargetHealth
from tailer.model import Kind, Status, Target, Workload
from tailer.outcome import Cause, Outcome
from tailer.sinks.escape import visible
from tailer.status_details import reasons
from tailer.tally import Printed, Tally
from tailer.timestamp import NS_PER_S, parse_ns

_SEVERITY = (Status.COMPLETED, Status.STOPPED, Status.DEAD)
_COLOURS = {Status.COMPLETED: "32", Status.STOPPED: "33", Status.DEAD: "1;31"}


def closing_report(outcome: Outcome, tally: Tally, *, quiet: bool, colour: bool) -> str:
    """Whole lines, the worst last, for there people look first.

    `quiet` keeps those that have a part in an exit code other than 0, or should have.
    """
    followed = [outcome.health.of(target) for target in outcome.verdicts]
    if outcome.cause is Cause.TIMEOUT:
        followed += [
            health
            for target, health in outcome.health.targets.items()
            if target.kind is Kind.EXECUTION and target not in outcome.verdicts
        ]
    told = [one for one in sorted(followed, key=_severity) if not (quiet and _is_fine(one))]
    groups = {one.target.resource_group for one in outcome.health.targets.values()}
    lines: list[str] = []
    verdicts: list[str] = []
    for one in told:
        name = visible(one.target.name)
        if len(groups) > 1:
            name = visible(f"{one.target.name} in {one.target.resource_group}")
        printed = tally.of(one.target)
        painted = _COLOURS.get(one.status, "33") if colour else ""
        verdicts.append(_painted(_verdict(one, printed, name), painted))
        if one.status is Status.DEAD and one.known is not None:
            why = reasons(one.known.status_details, told=one.known.status_message)
            verdicts += [_painted(f"  {visible(reason)}", painted) for reason in why]
            lines += _last_words(printed, name)
    return "".join(f"{line}\n" for line in [*lines, *verdicts])


def _severity(one: TargetHealth) -> tuple[int, Target]:
    place = _SEVERITY.index(one.status) if one.status.is_terminal else len(_SEVERITY)
    return place, one.target


def _is_fine(one: TargetHealth) -> bool:
    if one.target.kind is Kind.DEPLOYMENT and one.status is Status.STOPPED:
        return True
    return one.status is Status.COMPLETED


def _verdict(one: TargetHealth, printed: Printed, name: str) -> str:
    lines = lines_text(printed.lines)
    if not one.status.is_terminal:
        if one.phase is Phase.GONE:
            return f"{name}: deleted while it was followed, {lines}"
        return f"{name}: still {one.status} when the time was up, {lines}"
    text = f"{name}: {one.status}"
    if one.known is not None and one.known.status is one.status:
        text += _after(one.known)
    text += f", {lines}"
    message = "" if one.known is None else " ".join(one.known.status_message.split())
    return visible(f"{text}: {message}" if message else text)


def _after(known: Workload) -> str:
    """How long it ran, by the service's own account."""
    try:
        ran_ns = parse_ns(known.completion_time) - parse_ns(known.start_time)
    except ValueError:
        return ""
    return f" after {duration_text(ran_ns / NS_PER_S)}" if ran_ns >= 0 else ""


def _last_words(printed: Printed, name: str) -> list[str]:
    on_stderr = printed.on_stderr.lines
    messages = on_stderr or printed.on_any.lines
    if not messages:
        return []
    where = "on stderr" if on_stderr else "(it has none on stderr)"
    count = "line" if len(messages) == 1 else f"{len(messages)} lines"
    shown = [visible(line) for message in messages for line in message.split("\n")]
    return [f"--- the last {count} of {name} {where} ---", *shown, "---"]


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
