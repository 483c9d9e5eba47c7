"""What a task does, and by when it should be done: how to tell one that waits from one that hangs.

Pure. Whoever waits says beforehand for what and for how long; who has said nothing for too
long hangs. Law: a wait that may last for ever is stated as such, and never one for a machine.
"""

from dataclasses import dataclass
from math import inf

# On top of what was stated. A question to the service takes at most four requests of a minute
# each: for a token, itself, for a new token after a 401, itself again.
STALL_S = 300.0


@dataclass(slots=True)
class Pulse:
    """Of one task. Times are monotonic; `due_s` is when it hangs, unless it says more."""

    doing: str = ""
    since_s: float = 0.0
    due_s: float = inf

    def begin(self, doing: str, *, now_s: float, within_s: float = 0.0) -> None:
        """A step that takes `within_s` by intention, and no more than STALL_S longer."""
        self.doing, self.since_s, self.due_s = doing, now_s, now_s + within_s + STALL_S

    def rest(self, doing: str, *, now_s: float) -> None:
        """There may never be anything to do again, and that is well."""
        self.doing, self.since_s, self.due_s = doing, now_s, inf
