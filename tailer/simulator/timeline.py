"""The status of a simulated target over time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailer.model import Status
from tailer.simulator.settings import Stage

_WRITING = frozenset({Status.RUNNING, Status.STOPPING})


@dataclass(frozen=True, slots=True)
class StatusChange:
    at_ns: int
    status: Status


@dataclass(frozen=True, slots=True)
class Timeline:
    """Status changes in order of time; the target exists from the first one until `deleted_ns`."""

    changes: tuple[StatusChange, ...]
    deleted_ns: int | None = None

    @classmethod
    def planned(
        cls, stages: Sequence[Stage], *, origin_ns: int, gone_at_s: float | None
    ) -> "Timeline":
        changes = tuple(StatusChange(origin_ns + round(it.at_s * 1e9), it.status) for it in stages)
        return cls(changes, None if gone_at_s is None else origin_ns + round(gone_at_s * 1e9))

    @property
    def created_ns(self) -> int:
        return self.changes[0].at_ns

    def status_at(self, at_ns: int) -> Status | None:
        """None while the target does not exist."""
        change = self.latest_change(at_ns)
        is_deleted = self.deleted_ns is not None and self.deleted_ns <= at_ns
        return None if change is None or is_deleted else change.status

    def latest_change(self, at_ns: int) -> StatusChange | None:
        return next((it for it in reversed(self.changes) if it.at_ns <= at_ns), None)

    def writes_at(self, at_ns: int) -> bool:
        return self.status_at(at_ns) in _WRITING

    def has_run_by(self, at_ns: int) -> bool:
        return any(it.at_ns <= at_ns and it.status in _WRITING for it in self.changes)

    def start_ns(self, *, by_ns: int) -> int | None:
        """When the target was first RUNNING, if it was by then."""
        times_ns = (it.at_ns for it in self.changes if it.status is Status.RUNNING)
        return next((at_ns for at_ns in times_ns if at_ns <= by_ns), None)

    def end_ns(self, *, by_ns: int) -> int | None:
        """When the target ended, if it was in a terminal status at `by_ns`."""
        change = self.latest_change(by_ns)
        return change.at_ns if change is not None and change.status.is_terminal else None

    def changed(self, at_ns: int, status: Status) -> "Timeline":
        """The same timeline up to `at_ns`, then `status` forever."""
        kept = tuple(it for it in self.changes if it.at_ns < at_ns)
        return replace(self, changes=(*kept, StatusChange(at_ns, status)))
