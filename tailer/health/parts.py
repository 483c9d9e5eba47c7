"""Health of sinks, spool, requests, discovery, loop; the per-task activity timer.

What a task does, and by when it should be done: how to tell one that waits from one that hangs.

Pure. Whoever waits says beforehand for what and for how long; who has said nothing for too
long hangs. Law: a wait that may last for ever is stated as such, and never one for a machine.

What is known of everything but the targets: sinks, spool, requests, looks, the loop. Pure.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from math import inf

from tailer.model import Target

# On top of what was stated. A question to the service takes at most four requests of a minute
# each: for a token, itself, for a new token after a 401, itself again.
STALL_S = 300.0


@dataclass(slots=True)
class Activity:
    """Of one task. Times are monotonic; `due_s` is when it hangs, unless it says more."""

    step: str = ""
    since_s: float = 0.0
    due_s: float = inf

    def start(self, step: str, *, now_s: float, within_s: float = 0.0) -> None:
        """A step that takes `within_s` by intention, and no more than STALL_S longer."""
        self.step, self.since_s, self.due_s = step, now_s, now_s + within_s + STALL_S

    def idle(self, step: str, *, now_s: float) -> None:
        """There may never be anything to do again, and that is well."""
        self.step, self.since_s, self.due_s = step, now_s, inf


LOOP_STALL_S = 10.0  # nothing that tailer does holds up the loop for a tenth of that
_DELAYS_S = 60.0


@dataclass(slots=True)
class SinkHealth:
    """Of one sink, since this process began. Times are monotonic.

    `lag_lines` are in the spool and not taken yet, the oldest of them for `lag_s`; these
    two are as of the last look at the spool.
    """

    name: str
    is_open: bool = False
    position: int = 0
    lines: int = 0
    text_bytes: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_s: float | None = None
    failing_since_s: float | None = None
    next_try_s: float | None = None
    lag_lines: int = 0
    lag_s: float = 0.0
    activity: Activity = field(default_factory=Activity)

    @property
    def is_up(self) -> bool:
        return self.is_open and self.failing_since_s is None

    def recover(self) -> None:
        """It opened, or took something."""
        self.is_open, self.failing_since_s, self.next_try_s = True, None, None

    def fail(self, error: str, *, now_s: float, retry_in_s: float) -> None:
        self.failures += 1
        self.last_error, self.last_error_s = error, now_s
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        self.next_try_s = now_s + retry_in_s
        self.activity.start("waiting to try again", now_s=now_s, within_s=retry_in_s)


@dataclass(slots=True)
class NamedTargetHealth:
    """Of a target that was named. `targets` is what it stands for, once that is known."""

    name: str
    resource_group: str
    targets: tuple[Target, ...] = ()
    reason: str = ""  # of its last failure
    next_try_s: float | None = None
    activity: Activity = field(default_factory=Activity)


@dataclass(slots=True)
class ListingHealth:
    """Of looking, again and again, what there is: `what`, such as executions in a group."""

    what: str
    is_done: bool = False  # was there ever an answer
    reason: str = ""  # it failed last
    next_try_s: float | None = None
    activity: Activity = field(default_factory=Activity)


@dataclass(slots=True)
class SpoolHealth:
    """As of the last look at it. `blocked_reason`: nothing can be stored, and that is known.

    `waited_s` is when that was last so; monotonic.
    """

    undelivered_bytes: int = 0
    max_bytes: int = 0
    oldest_s: float = 0.0
    is_full: bool = False
    blocked_reason: str = ""
    waited_s: float | None = None


@dataclass(slots=True)
class RequestsHealth:
    """Of the requests to the service, as of the last look. Statuses of answers; 0 is none.

    `longest_wait_s` is for how long one had to wait for its turn of late.
    """

    retries: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    tokens_granted: int = 0
    tokens_failed: int = 0
    limit_per_s: float = 0.0
    rate_per_s: float = 0.0
    budget: float = 0.0
    longest_wait_s: float = 0.0


@dataclass(slots=True)
class LoopHealth:
    """Of the event loop, which is meant to turn at `due_s`. Monotonic.

    `stood_s` is how long it last stood still, which ended at `stood_upto_s`.
    """

    due_s: float | None = None
    delays: deque[tuple[float, float]] = field(default_factory=deque)
    stood_s: float = 0.0
    stood_upto_s: float | None = None

    def turn(self, *, now_s: float, next_s: float) -> None:
        """It turned, and will again at `next_s` unless something holds it up."""
        if self.due_s is not None:
            delay_s = max(0.0, now_s - self.due_s)
            self.delays.append((now_s, delay_s))
            if delay_s >= LOOP_STALL_S:
                self.stood_s, self.stood_upto_s = delay_s, now_s
        while self.delays and self.delays[0][0] < now_s - _DELAYS_S:
            self.delays.popleft()
        self.due_s = next_s

    def delay_s(self, now_s: float) -> float:
        """The worst of late, or the present one if that is worse."""
        present_s = 0.0 if self.due_s is None else now_s - self.due_s
        return max(0.0, present_s, *(delay_s for _, delay_s in self.delays))
