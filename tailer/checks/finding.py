"""What a check found, and what is to be done about it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from tailer.errors import TailerError, TransientApiError

_UNREACHABLE = 3  # of what never answers: the address may be wrong, as may be the credentials


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # it will run, but look at that
    FAIL = "FAIL"
    NOT_CHECKED = "--"


@dataclass(frozen=True, slots=True)
class Finding:
    """`exit_code` is 0 unless it failed. `is_late`: it was given up, and may still hang."""

    verdict: Verdict
    what: str
    remedy: str = ""
    exit_code: int = 0
    is_late: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether what depends on it can be checked."""
        return self.verdict in {Verdict.OK, Verdict.WARN}


def fine(what: str) -> Finding:
    return Finding(Verdict.OK, what)


def odd(what: str, remedy: str) -> Finding:
    return Finding(Verdict.WARN, what, remedy)


def failed(what: str, remedy: str, *, exit_code: int) -> Finding:
    return Finding(Verdict.FAIL, what, remedy, exit_code)


def failed_by(error: TailerError) -> Finding:
    code = _UNREACHABLE if isinstance(error, TransientApiError) else error.exit_code
    return Finding(Verdict.FAIL, error.message, error.hint, code)


def not_checked(why: str) -> Finding:
    return Finding(Verdict.NOT_CHECKED, f"not checked: {why}")
