"""Closing report; reasons out of statusDetails.

What the service says of a failure, out of JSON that may have any shape. Pure.

`statusDetails` is documented as an object and nothing more. So whatever in it looks like a
reason, a message or an exit code is taken, with the name of what it belongs to.

What is said on stderr in the end: why a job is DEAD, and a line of verdict for each. Pure.

It is for people, terminal or not: programs have the exit code and the summary.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from tailer.health.targets import Phase, TargetHealth
from tailer.logs.outcome import Cause, Outcome
from tailer.logs.printed import Printed, PrintedLines
from tailer.model import Kind, Status, Target, Workload
from tailer.text import duration_text, lines_text, visible
from tailer.timestamp import NS_PER_S, parse_ns

_MOST_REASONS = 10
_MAX_CHARACTERS = 300  # of one reason
_MOST_PLACES = 10_000  # looked at
_MOST_NAMES = 3  # before one reason: the innermost

# Letters only and in lower case: `exit_code`, `exitCode` and `ExitCode` are one.
_NAMES = ("podname", "pod", "containername", "name", "nodename", "displayname")
_WHAT = ("reason",)
_SAID = ("message", "messages", "error", "errors", "errormessage", "detail")
_EXIT_CODE = "exitcode"


def reasons(details: object, *, told: str = "") -> tuple[str, ...]:
    """One short line for each thing that is said to be wrong; `told` is known already.

    What is nested gets the names of what it is in. Where nothing looks like a reason, it is
    the beginning of the JSON itself.
    """
    found: dict[str, None] = {}
    for names, what in _found(details):
        where = "/".join(names)
        text = _cut(f"{where}: {what}" if where else what)
        if what != told.strip():
            found.setdefault(text)
    if not found and details and not told:
        with suppress(RecursionError):  # nested so deeply that nobody would read it anyhow
            found.setdefault(_cut(json.dumps(details, ensure_ascii=False, default=str)))
    lines = list(found)
    more = len(lines) - _MOST_REASONS
    return (*lines[:_MOST_REASONS], f"… and {more} more") if more > 0 else tuple(lines)


def _found(details: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names and what is said there, outermost first, in the order of the document."""
    if isinstance(details, str) and details.strip():
        yield (), " ".join(details.split())
    places: list[tuple[object, tuple[str, ...]]] = [(details, ())]
    for _ in range(_MOST_PLACES):
        if not places:
            return
        place, names = places.pop()
        inner: list[object] = []
        if isinstance(place, Mapping):
            fields = {_plain(key): value for key, value in place.items()}
            own = _first(fields, _NAMES)
            if own and own not in names:
                names = (*names, own)[-_MOST_NAMES:]
            what = _what(fields)
            if what:
                yield names, what
            inner = [*place.values()]
        elif isinstance(place, list):
            inner = place
        places += [(one, names) for one in reversed(inner) if isinstance(one, (Mapping, list))]


def _what(fields: Mapping[str, object]) -> str:
    """`OOMKilled, exit code 137: memory limit reached`; nothing where all is well."""
    reason, said = _first(fields, _WHAT), _first(fields, _SAID)
    code = fields.get(_EXIT_CODE)
    if not _is_code(code):
        return f"{reason}: {said}" if reason and said else reason or said
    if str(code).strip() == "0":
        return said
    head = f"{reason}, exit code {code}" if reason else f"exit code {code}"
    return f"{head}: {said}" if said else head


def _is_code(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(key: object) -> str:
    return "".join(char for char in str(key).lower() if char.isalpha())


def _first(fields: Mapping[str, object], keys: Sequence[str]) -> str:
    """The text of the first of `keys` that has one; lists of texts count too."""
    for key in keys:
        value = fields.get(key)
        texts = value if isinstance(value, list) else [value]
        text = "; ".join(" ".join(one.split()) for one in texts if isinstance(one, str))
        if text:
            return text
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"


_SEVERITY = (Status.COMPLETED, Status.STOPPED, Status.DEAD)
_COLORS = {Status.COMPLETED: "32", Status.STOPPED: "33", Status.DEAD: "1;31"}


def closing_report(
    outcome: Outcome, printed_lines: PrintedLines, *, quiet: bool, in_color: bool
) -> str:
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
        printed = printed_lines.of(one.target)
        painted = _COLORS.get(one.status, "33") if in_color else ""
        verdicts.append(_painted(_verdict(one, printed, name), painted))
        if one.status is Status.DEAD and one.details is not None:
            texts = reasons(one.details.status_details, told=one.details.status_message)
            verdicts += [_painted(f"  {visible(reason)}", painted) for reason in texts]
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
    if one.details is not None and one.details.status is one.status:
        text += _after(one.details)
    text += f", {lines}"
    message = "" if one.details is None else " ".join(one.details.status_message.split())
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


def _painted(text: str, color: str) -> str:
    return f"\x1b[{color}m{text}\x1b[0m" if color else text
