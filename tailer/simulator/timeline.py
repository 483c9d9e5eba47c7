"""A status over time, known in advance and changeable from now on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailer.model import Status
from tailer.simulator.settings import Stage

_SPEAKING = frozenset({Status.RUNNING, Status.STOPPING})


@dataclass(frozen=True, slots=True)
class Turn:
    at_ns: int
    status: Status


@dataclass(frozen=True, slots=True)
class Life:
    """Before the first turn it does not exist yet, from `gone_ns` on no longer."""

    turns: tuple[Turn, ...]
    gone_ns: int | None = None

    @classmethod
    def planned(cls, stages: Sequence[Stage], *, origin_ns: int, gone_at_s: float | None) -> "Life":
        turns = tuple(Turn(origin_ns + round(it.at_s * 1e9), it.status) for it in stages)
        return cls(turns, None if gone_at_s is None else origin_ns + round(gone_at_s * 1e9))

    def status_at(self, at_ns: int) -> Status | None:
        """None while it does not exist."""
        turn = self.last_turn(at_ns)
        is_gone = self.gone_ns is not None and self.gone_ns <= at_ns
        return None if turn is None or is_gone else turn.status

    def last_turn(self, at_ns: int) -> Turn | None:
        return next((turn for turn in reversed(self.turns) if turn.at_ns <= at_ns), None)

    def speaks_at(self, at_ns: int) -> bool:
        return self.status_at(at_ns) in _SPEAKING

    def has_run_by(self, at_ns: int) -> bool:
        return any(turn.at_ns <= at_ns and turn.status in _SPEAKING for turn in self.turns)

    def first(self, status: Status, *, by_ns: int) -> Turn | None:
        return next((it for it in self.turns if it.status is status and it.at_ns <= by_ns), None)

    def end(self, *, by_ns: int) -> Turn | None:
        """The turn into the terminal status it has at `by_ns`, if that is one."""
        turn = self.last_turn(by_ns)
        return turn if turn is not None and turn.status.is_terminal else None

    def turned(self, at_ns: int, status: Status) -> "Life":
        """The same life up to `at_ns`, then `status` for good."""
        kept = tuple(turn for turn in self.turns if turn.at_ns < at_ns)
        return replace(self, turns=(*kept, Turn(at_ns, status)))
