"""Closing report on stderr: a verdict for each followed target, and why a job is DEAD. Pure.

The report is for people, on a terminal or in a CI log. Programs use the exit code and
--summary.

`statusDetails` of the service is documented as an object and nothing more. `reasons` takes
everything in it that has the key of a reason, a message or an exit code, with the names of
the enclosing objects.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from tailer.health.targets import Phase, TargetHealth
from tailer.logs.outcome import Cause, Outcome
from tailer.logs.printed import Printed, PrintedLines
from tailer.model import Kind, Status, Target, Workload
from tailer.text import duration_text, lines_text, visible
from tailer.timestamp import NS_PER_S, ns_or_none

_SEVERITY = (Status.COMPLETED, Status.STOPPED, Status.DEAD)
_COLORS = {Status.COMPLETED: "32", Status.STOPPED: "33", Status.DEAD: "1;31"}

_MAX_REASONS = 10
_MAX_CHARACTERS = 300  # of one reason
_MAX_NODES = 10_000  # of the JSON that are visited
_MAX_NAMES = 3  # before one reason: the innermost

# Keys without punctuation, in lower case: `exit_code`, `exitCode` and `ExitCode` are the same.
_NAME_KEYS = ("podname", "pod", "containername", "name", "nodename", "displayname")
_REASON_KEYS = ("reason",)
_MESSAGE_KEYS = ("message", "messages", "error", "errors", "errormessage", "detail")
_EXIT_CODE_KEY = "exitcode"


def closing_report(
    outcome: Outcome, printed_lines: PrintedLines, *, quiet: bool, in_color: bool
) -> str:
    """Whole lines; the worst verdict last, where people read first.

    `quiet` omits the targets that ended as intended.
    """
    followed = [outcome.health.of(target) for target in outcome.verdicts]
    if outcome.cause is Cause.TIMEOUT:
        followed += [
            health
            for target, health in outcome.health.targets.items()
            if target.kind is Kind.EXECUTION and target not in outcome.verdicts
        ]
    with_groups = len({target.resource_group for target in outcome.health.targets}) > 1
    last_lines: list[str] = []
    verdicts: list[str] = []
    for health in sorted(followed, key=_severity):
        if quiet and _ended_as_intended(health):
            continue
        target, details = health.target, health.details
        name = visible(f"{target.name} in {target.resource_group}" if with_groups else target.name)
        printed = printed_lines.of(target)
        lines = [_verdict(health, printed, name)]
        if health.status is Status.DEAD and details is not None:
            texts = reasons(details.status_details, reported=details.status_message)
            lines += [f"  {visible(text)}" for text in texts]
            last_lines += _last_lines(printed, name)
        color = _COLORS.get(health.status, "33")
        verdicts += [f"\x1b[{color}m{line}\x1b[0m" if in_color else line for line in lines]
    return "".join(f"{line}\n" for line in [*last_lines, *verdicts])


def _severity(health: TargetHealth) -> tuple[int, Target]:
    is_terminal = health.status.is_terminal
    return _SEVERITY.index(health.status) if is_terminal else len(_SEVERITY), health.target


def _ended_as_intended(health: TargetHealth) -> bool:
    if health.target.kind is Kind.DEPLOYMENT and health.status is Status.STOPPED:
        return True
    return health.status is Status.COMPLETED


def _verdict(health: TargetHealth, printed: Printed, name: str) -> str:
    status, details, lines = health.status, health.details, lines_text(printed.lines)
    if not status.is_terminal:
        if health.phase is Phase.GONE:
            return f"{name}: deleted while it was followed, {lines}"
        return f"{name}: still {status} at the timeout, {lines}"
    if details is None:
        return f"{name}: {status}, {lines}"
    ran = _duration(details) if details.status is status else ""
    message = " ".join(details.status_message.split())
    return visible(f"{name}: {status}{ran}, {lines}{f': {message}' if message else ''}")


def _duration(workload: Workload) -> str:
    """` after 1h2m`, from the service's own times; empty without them."""
    start_ns, end_ns = ns_or_none(workload.start_time), ns_or_none(workload.completion_time)
    if start_ns is None or end_ns is None or end_ns < start_ns:
        return ""
    return f" after {duration_text((end_ns - start_ns) / NS_PER_S)}"


def _last_lines(printed: Printed, name: str) -> list[str]:
    on_stderr = printed.on_stderr.lines
    messages = on_stderr or printed.on_any.lines
    if not messages:
        return []
    stream = "on stderr" if on_stderr else "(no lines on stderr)"
    count = "line" if len(messages) == 1 else f"{len(messages)} lines"
    lines = [visible(line) for message in messages for line in message.split("\n")]
    return [f"--- the last {count} of {name} {stream} ---", *lines, "---"]


def reasons(details: object, *, reported: str = "") -> tuple[str, ...]:
    """One short line for each reason in `details`, without `reported`, which is printed already.

    A reason is preceded by the names of the enclosing objects. Where no key is recognized,
    the beginning of the JSON is the reason.
    """
    found: dict[str, None] = {}
    for names, text in _found(details):
        if text != reported.strip():
            found.setdefault(_cut(f"{'/'.join(names)}: {text}" if names else text))
    if not found and details and not reported:
        with suppress(RecursionError):  # nested too deeply to be readable
            found.setdefault(_cut(json.dumps(details, ensure_ascii=False, default=str)))
    lines = list(found)
    more = len(lines) - _MAX_REASONS
    return (*lines[:_MAX_REASONS], f"… and {more} more") if more > 0 else tuple(lines)


def _found(details: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names of the enclosing objects, outermost first, and a reason; in order of the document."""
    if isinstance(details, str) and details.strip():
        yield (), " ".join(details.split())
    nodes: list[tuple[object, tuple[str, ...]]] = [(details, ())]
    for _ in range(_MAX_NODES):
        if not nodes:
            return
        node, names = nodes.pop()
        inner: list[object] = []
        if isinstance(node, Mapping):
            fields = {_normalized(key): value for key, value in node.items()}
            name = _first(fields, _NAME_KEYS)
            if name and name not in names:
                names = (*names, name)[-_MAX_NAMES:]
            reason = _reason(fields)
            if reason:
                yield names, reason
            inner = [*node.values()]
        elif isinstance(node, list):
            inner = node
        nodes += [(one, names) for one in reversed(inner) if isinstance(one, (Mapping, list))]


def _reason(fields: Mapping[str, object]) -> str:
    """`OOMKilled, exit code 137: memory limit reached`; exit code 0 has no reason."""
    reason, message = _first(fields, _REASON_KEYS), _first(fields, _MESSAGE_KEYS)
    code = fields.get(_EXIT_CODE_KEY)
    is_text = isinstance(code, str) and code.strip().lstrip("-").isdecimal()
    if is_text or (isinstance(code, int) and not isinstance(code, bool)):
        if str(code).strip() == "0":
            return message
        reason = f"{reason}, exit code {code}" if reason else f"exit code {code}"
    return f"{reason}: {message}" if reason and message else reason or message


def _normalized(key: object) -> str:
    return "".join(char for char in str(key).lower() if char.isalpha())


def _first(fields: Mapping[str, object], keys: Sequence[str]) -> str:
    """The text of the first of `keys` that has a text or a list of texts."""
    for key in keys:
        value = fields.get(key)
        texts = value if isinstance(value, list) else [value]
        text = "; ".join(" ".join(one.split()) for one in texts if isinstance(one, str))
        if text:
            return text
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
