"""Run checks concurrently, in order of their dependencies; report findings in a fixed order."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import anyio

from tailer.errors import TailerError, TransientApiError, leaves

_EXIT_UNREACHABLE = 3  # the address may be wrong, or the credentials


class FindingLevel(StrEnum):
    OK = "ok"
    WARN = "warn"  # `tailer run` works, with a restriction
    FAIL = "FAIL"
    NOT_CHECKED = "--"


@dataclass(frozen=True, slots=True)
class Finding:
    """`exit_code` is 0 unless the check failed. `is_late`: the check timed out and may hang."""

    level: FindingLevel
    text: str
    remedy: str = ""
    exit_code: int = 0
    is_late: bool = False


def passed(text: str) -> Finding:
    return Finding(FindingLevel.OK, text)


def warning(text: str, remedy: str) -> Finding:
    return Finding(FindingLevel.WARN, text, remedy)


def failed(text: str, remedy: str, *, exit_code: int) -> Finding:
    return Finding(FindingLevel.FAIL, text, remedy, exit_code)


def failed_by(error: TailerError) -> Finding:
    is_unreachable = isinstance(error, TransientApiError)
    code = _EXIT_UNREACHABLE if is_unreachable else error.exit_code
    return failed(error.message, error.hint, exit_code=code)


def not_checked(reason: str) -> Finding:
    return Finding(FindingLevel.NOT_CHECKED, f"not checked: {reason}")


class LastError:
    """An OnRetry that keeps the last error, for the finding of a check that times out."""

    def __init__(self) -> None:
        self.error: TransientApiError | None = None

    def __call__(self, error: TransientApiError, retry_in_s: float) -> None:
        self.error = error


Work: TypeAlias = Callable[[LastError], Awaitable[Finding]]


@dataclass(slots=True, eq=False)
class Check:
    """`work` may raise TailerError. It starts when all checks in `after` are done.

    The check is skipped when all of `after` have failed. When `work` takes longer than
    `timeout_s`, the check fails with `timeout_code`.
    """

    subject: str
    work: Work
    timeout_s: float
    timeout_code: int
    after: Sequence["Check"] = ()
    finding: Finding | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


async def run_checks(
    checks: Sequence[Check], report: Callable[[str, Finding], None]
) -> Sequence[Finding]:
    """Report each finding in the order of `checks`, as early as that order allows."""
    findings: list[Finding] = []
    async with anyio.create_task_group() as running:
        for check in checks:
            running.start_soon(_run, check)
        for check in checks:
            await check.done.wait()
            assert check.finding is not None
            report(check.subject, check.finding)
            findings.append(check.finding)
    return findings


async def _run(check: Check) -> None:
    for earlier in check.after:
        await earlier.done.wait()
    levels = {earlier.finding.level for earlier in check.after if earlier.finding is not None}
    if levels and levels <= {FindingLevel.FAIL, FindingLevel.NOT_CHECKED}:
        names = ", ".join(dict.fromkeys(earlier.subject for earlier in check.after))
        check.finding = not_checked(f"see {names}")
    else:
        check.finding = await _find(check)
    check.done.set()


async def _find(check: Check) -> Finding:
    last = LastError()
    with anyio.move_on_after(check.timeout_s):
        try:
            return await check.work(last)
        except (TailerError, ExceptionGroup) as error:
            first = next(leaves(error))
            if not isinstance(first, TailerError):
                raise
            return failed_by(first)
    text, remedy = f"no response within {check.timeout_s:g} s", "is it reachable from here?"
    if last.error is not None:
        text, remedy = f"{text}: {last.error.message}", last.error.hint or remedy
    return Finding(FindingLevel.FAIL, text, remedy, check.timeout_code, is_late=True)
