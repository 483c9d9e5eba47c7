"""Finding, Check, run in order of dependency.

What a check found, and what is to be done about it. Pure.

Runs checks: all at once, as far as one does not need another, and tells them in order.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import anyio

from tailer.errors import TailerError, TransientApiError

_UNREACHABLE = 3  # of what never answers: the address may be wrong, as may be the credentials


class FindingLevel(StrEnum):
    OK = "ok"
    WARN = "warn"  # it will run, but look at that
    FAIL = "FAIL"
    NOT_CHECKED = "--"


@dataclass(frozen=True, slots=True)
class Finding:
    """`exit_code` is 0 unless it failed. `is_late`: it was given up, and may still hang."""

    verdict: FindingLevel
    what: str
    remedy: str = ""
    exit_code: int = 0
    is_late: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether what depends on it can be checked."""
        return self.verdict in {FindingLevel.OK, FindingLevel.WARN}


def passed(what: str) -> Finding:
    return Finding(FindingLevel.OK, what)


def warning(what: str, remedy: str) -> Finding:
    return Finding(FindingLevel.WARN, what, remedy)


def failed(what: str, remedy: str, *, exit_code: int) -> Finding:
    return Finding(FindingLevel.FAIL, what, remedy, exit_code)


def failed_by(error: TailerError) -> Finding:
    code = _UNREACHABLE if isinstance(error, TransientApiError) else error.exit_code
    return Finding(FindingLevel.FAIL, error.message, error.hint, code)


def not_checked(reason: str) -> Finding:
    return Finding(FindingLevel.NOT_CHECKED, f"not checked: {reason}")


class LastError:
    """The last thing that went wrong on the way; what is asked is asked again meanwhile."""

    def __init__(self) -> None:
        self.last: TransientApiError | None = None

    def __call__(self, error: TransientApiError, retry_in_s: float) -> None:
        self.last = error


Look: TypeAlias = Callable[[LastError], Awaitable[Finding]]


@dataclass(slots=True, eq=False)
class Check:
    """`look` gets `within_s`, which begin when all of `after` are done. It may raise TailerError.

    When all of `after` have failed it is not looked at. `late_code` is the exit code
    when time runs out.
    """

    subject: str
    look: Look
    within_s: float
    late_code: int
    after: Sequence["Check"] = ()
    finding: Finding | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


async def run_checks(
    checks: Sequence[Check], tell: Callable[[str, Finding], None]
) -> Sequence[Finding]:
    """Every finding, which `tell` is told in the order of `checks`, each as soon as it can be."""
    async with anyio.create_task_group() as looking:
        for check in checks:
            looking.start_soon(_run, check)
        for check in checks:
            await check.done.wait()
            assert check.finding is not None
            tell(check.subject, check.finding)
    return [check.finding for check in checks if check.finding is not None]


async def _run(check: Check) -> None:
    for earlier in check.after:
        await earlier.done.wait()
    if check.after and not any(_is_usable(earlier) for earlier in check.after):
        names = ", ".join(dict.fromkeys(earlier.subject for earlier in check.after))
        check.finding = not_checked(f"see {names}")
    else:
        check.finding = await _looked(check)
    check.done.set()


async def _looked(check: Check) -> Finding:
    trouble = LastError()
    with anyio.move_on_after(check.within_s):
        try:
            return await check.look(trouble)
        except (TailerError, ExceptionGroup) as error:
            return failed_by(next(_leaves(error)))
    reason = f"no answer within {check.within_s:g} s"
    hint = "is it reachable from here, and not busy?"
    if trouble.last is not None:
        reason, hint = f"{reason}: {trouble.last.message}", trouble.last.hint or hint
    return Finding(FindingLevel.FAIL, reason, hint, check.late_code, is_late=True)


def _leaves(error: Exception) -> Iterator[TailerError]:
    """Of nested groups; what is none of ours is a bug, and goes on as one."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif isinstance(error, TailerError):
        yield error
    else:
        raise error


def _is_usable(check: Check) -> bool:
    return check.finding is not None and check.finding.is_usable
