"""How a run of `tailer logs` ended: one word for it, and the exit code that says so. Pure.

The worst of several wins: who must act goes before what a job says of itself.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from tailer.errors import TailerError
from tailer.health.health import Health
from tailer.model import Kind, Status, Target

EXIT_GAP = 6


class Verdict(StrEnum):
    """The last word on a run. In the summary, so a name must not change."""

    COMPLETED = "COMPLETED"
    DEAD = "DEAD"
    STOPPED = "STOPPED"
    DONE = "DONE"  # all was read, and no execution was followed to its end
    GAP = "GAP"  # all was read that could be
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    INTERRUPTED = "INTERRUPTED"
    MAX_LINES = "MAX_LINES"
    READER_GONE = "READER_GONE"


class Cause(Enum):
    """What ended a run before all was read."""

    TIMEOUT = (Verdict.TIMEOUT, 124)
    SIGINT = (Verdict.INTERRUPTED, 130)
    SIGTERM = (Verdict.INTERRUPTED, 143)
    MAX_LINES = (Verdict.MAX_LINES, 0)
    READER_GONE = (Verdict.READER_GONE, 0)

    def __init__(self, verdict: Verdict, exit_code: int) -> None:
        self.verdict = verdict
        self.exit_code = exit_code


_EXIT_OF_STATUS = {Status.DEAD: 10, Status.STOPPED: 11, Status.COMPLETED: 0}


@dataclass(slots=True)
class Outcome:
    """Filled while it runs.

    `verdicts` are the last statuses of the targets that were followed to their end. `errors`
    has all there were; `failure` is the one of them that ended the run, still to be told.
    """

    health: Health = field(default_factory=Health)
    verdicts: dict[Target, Status] = field(default_factory=dict)
    errors: list[TailerError] = field(default_factory=list)
    failure: TailerError | None = None
    cause: Cause | None = None

    @property
    def exit_code(self) -> int:
        return self._ending[1]

    @property
    def verdict(self) -> Verdict:
        return self._ending[0]

    @property
    def _ending(self) -> tuple[Verdict, int]:
        """What cut the run short, then what went wrong, then what the jobs say of themselves."""
        if self.cause is not None and self.cause.exit_code:
            return self.cause.verdict, self.cause.exit_code
        if self.errors:
            return Verdict.FAILED, self.errors[0].exit_code
        if self.cause is Cause.READER_GONE:
            return Verdict.READER_GONE, 0
        verdict, code = (Verdict.MAX_LINES, 0) if self.cause else self._of_all_that_ended()
        return (Verdict.GAP, EXIT_GAP) if self.health.gaps and not code else (verdict, code)

    def _of_all_that_ended(self) -> tuple[Verdict, int]:
        statuses = {
            status for target, status in self.verdicts.items() if target.kind is Kind.EXECUTION
        }
        for status, code in _EXIT_OF_STATUS.items():  # from bad to good
            if status in statuses:
                return Verdict(status), code
        return Verdict.DONE, 0
