"""Health of sinks, spool, requests, listings and event loop; the activity timer of each task. Pure.

Before a task waits it records the step and its planned duration. A task that overruns the
plan by STALL_S is stalled. A step may be unlimited only while there is no work; a wait for
another machine is always limited.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from math import inf

from tailer.model import Target

# One call of the API makes at most four requests of up to a minute each: for a token, the
# request, for a new token after a 401, and the request again.
STALL_S = 300.0
LOOP_STALL_S = 10.0  # no step of tailer blocks the event loop for a tenth of that
_LOOP_DELAYS_KEPT_S = 60.0


@dataclass(slots=True)
class Activity:
    """The current step of one task. Monotonic times; the task is stalled from `due_s` on."""

    step: str = ""
    since_s: float = 0.0
    due_s: float = inf

    def start(self, step: str, *, now_s: float, within_s: float = 0.0) -> None:
        """Start a step that is planned to take `within_s`."""
        self.step, self.since_s, self.due_s = step, now_s, now_s + within_s + STALL_S

    def idle(self, step: str, *, now_s: float) -> None:
        """Wait for work, without a limit."""
        self.step, self.since_s, self.due_s = step, now_s, inf

    def wait_to_retry(self, *, now_s: float, retry_in_s: float) -> None:
        self.start("waiting to retry", now_s=now_s, within_s=retry_in_s)


@dataclass(slots=True)
class SinkHealth:
    """Health of one sink since the process started. Monotonic times.

    `lag_lines` are in the spool and undelivered, the oldest of them for `lag_s`; both are
    as of the last sample of the spool.
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
        """Record a successful open or write."""
        self.is_open, self.failing_since_s, self.next_try_s = True, None, None

    def fail(self, error: str, *, now_s: float, retry_in_s: float) -> None:
        self.failures += 1
        self.last_error, self.last_error_s = error, now_s
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        self.next_try_s = now_s + retry_in_s
        self.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)


@dataclass(slots=True)
class NamedTargetHealth:
    """Health of a name in the configuration. `targets` is what the name was resolved to."""

    name: str
    resource_group: str
    targets: tuple[Target, ...] = ()
    reason: str = ""  # the error of the last attempt, if it failed
    next_try_s: float | None = None
    activity: Activity = field(default_factory=Activity)


@dataclass(slots=True)
class ListingHealth:
    """Health of a periodic listing. `what` is for example `executions in default`."""

    what: str
    is_done: bool = False  # the service has answered at least once
    reason: str = ""  # the error of the last attempt, if it failed
    next_try_s: float | None = None
    activity: Activity = field(default_factory=Activity)

    def answered(self, error: str = "", *, now_s: float, pause_s: float) -> None:
        """Record a response, or a refusal with its `error`; the next listing is in `pause_s`."""
        self.is_done, self.reason, self.next_try_s = True, error, None
        self.activity.start("pausing", now_s=now_s, within_s=pause_s)

    def fail(self, error: str, *, now_s: float, retry_in_s: float) -> None:
        self.reason, self.next_try_s = error, now_s + retry_in_s
        self.activity.wait_to_retry(now_s=now_s, retry_in_s=retry_in_s)


@dataclass(slots=True)
class SpoolHealth:
    """Last sample of the spool. `blocked_reason` is why it cannot store lines, or empty.

    `last_blocked_s` is when it was last full or blocked; monotonic.
    """

    undelivered_bytes: int = 0
    max_bytes: int = 0
    oldest_s: float = 0.0
    is_full: bool = False
    blocked_reason: str = ""
    last_blocked_s: float | None = None


@dataclass(slots=True)
class RequestsHealth:
    """Last sample of the request statistics. `answers` counts HTTP statuses; 0 is no response.

    `longest_wait_s` is the longest recent wait of a request for the rate limit.
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
    """Delays of the event loop. Its next tick is planned for `due_s`. Monotonic times.

    `blocked_s` is the length of the last blockage, which ended at `blocked_until_s`.
    """

    due_s: float | None = None
    delays: deque[tuple[float, float]] = field(default_factory=deque)
    blocked_s: float = 0.0
    blocked_until_s: float | None = None

    def tick(self, *, now_s: float, next_s: float) -> None:
        """Record that the loop runs, and that the next tick is planned for `next_s`."""
        if self.due_s is not None:
            delay_s = max(0.0, now_s - self.due_s)
            self.delays.append((now_s, delay_s))
            if delay_s >= LOOP_STALL_S:
                self.blocked_s, self.blocked_until_s = delay_s, now_s
        while self.delays and self.delays[0][0] < now_s - _LOOP_DELAYS_KEPT_S:
            self.delays.popleft()
        self.due_s = next_s

    def delay_s(self, now_s: float) -> float:
        """The largest delay of the last minute, including the current one."""
        current_s = 0.0 if self.due_s is None else now_s - self.due_s
        return max(0.0, current_s, *(delay_s for _, delay_s in self.delays))
