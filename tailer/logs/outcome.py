"""Verdict and exit code of a run of `tailer logs`. Pure.

The worst of several wins: errors that a person must fix come before the status of a job.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from tailer.errors import TailerError
from tailer.health.health import Health
from tailer.model import Kind, Status, Target

EXIT_GAP = 6


class Verdict(StrEnum):
    """The result of a run. Part of the --summary contract: names must not change."""

    COMPLETED = "COMPLETED"
    DEAD = "DEAD"
    STOPPED = "STOPPED"
    DONE = "DONE"  # everything was read, and no execution was followed to its end
    GAP = "GAP"  # lines may be missing
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    INTERRUPTED = "INTERRUPTED"
    MAX_LINES = "MAX_LINES"
    READER_GONE = "READER_GONE"


class Cause(Enum):
    """Why a run ended before everything was read."""

    TIMEOUT = (Verdict.TIMEOUT, 124)
    SIGINT = (Verdict.INTERRUPTED, 130)
    SIGTERM = (Verdict.INTERRUPTED, 143)
    MAX_LINES = (Verdict.MAX_LINES, 0)
    READER_GONE = (Verdict.READER_GONE, 0)

    def __init__(self, verdict: Verdict, exit_code: int) -> None:
        self.verdict = verdict
        self.exit_code = exit_code


_EXIT_CODES = {Status.DEAD: 10, Status.STOPPED: 11, Status.COMPLETED: 0}  # the worst first


@dataclass(slots=True)
class Outcome:
    """Updated during the run.

    `verdicts` has the final status of each target that was followed to its end. `errors` has
    all errors; `failure` is the error that ended the run, which the caller must still report.
    """

    health: Health = field(default_factory=Health)
    verdicts: dict[Target, Status] = field(default_factory=dict)
    errors: list[TailerError] = field(default_factory=list)
    failure: TailerError | None = None
    cause: Cause | None = None

    @property
    def result(self) -> tuple[Verdict, int]:
        """Verdict and exit code, by priority: interruption, errors, gaps, status of executions."""
        if self.cause is not None and self.cause.exit_code:
            return self.cause.verdict, self.cause.exit_code
        if self.errors:
            return Verdict.FAILED, self.errors[0].exit_code
        if self.cause is Cause.READER_GONE:
            return Verdict.READER_GONE, 0
        verdict, code = (Verdict.MAX_LINES, 0) if self.cause else self._of_executions()
        return (Verdict.GAP, EXIT_GAP) if self.health.gaps and not code else (verdict, code)

    def _of_executions(self) -> tuple[Verdict, int]:
        statuses = {
            status for target, status in self.verdicts.items() if target.kind is Kind.EXECUTION
        }
        for status, code in _EXIT_CODES.items():
            if status in statuses:
                return Verdict(status), code
        return Verdict.DONE, 0
