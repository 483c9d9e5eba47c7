"""Generate the lines of one target, second by second: the same seed gives the same lines."""

import hashlib
import math
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Literal

import msgspec
from msgspec import UNSET

from tailer.model import Entry, Status, Target
from tailer.simulator.line_store import Line
from tailer.simulator.messages import LAST_MESSAGES, MESSAGE_MIXES, Message
from tailer.simulator.settings import SimulatorSettings, TargetSettings
from tailer.timestamp import NS_PER_MS, NS_PER_S, format_ns

_MAX_HIDING_DELAY_NS = 2 * NS_PER_S
_LAST_LINES_STEP_NS = 1000  # so close that no other line comes between them


def stable_number(*names: object) -> int:
    """64 bits that depend on the names alone; the built-in `hash` changes with every process."""
    text = "/".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class LineGenerator:
    def __init__(
        self,
        target: Target,
        plan: TargetSettings,
        settings: SimulatorSettings,
        *,
        rate_per_s: float,
        origin_ns: int,
    ) -> None:
        self.target = target
        self.plan = plan
        self.origin_ns = origin_ns
        self._settings = settings
        self._rate_per_s = rate_per_s
        backlog_rate_per_s = settings.backlog_rate_per_s
        self._rate_before_per_s = (
            rate_per_s if backlog_rate_per_s is None or not rate_per_s else backlog_rate_per_s
        )
        self._base = stable_number(settings.seed, target.resource_group, target.name)
        self._rng = Random(self._base)
        self._mix = MESSAGE_MIXES[plan.story]
        self._bursts = [it for it in settings.bursts if it.target_id in {"", target.id}]
        self._encode = msgspec.json.Encoder().encode
        self.pods = tuple(
            f"{target.id}-{plan.story}-{stable_number(self._base, n) % 16**5:05x}"
            for n in range(plan.pods)
        )

    def second(self, number: int, *, age_s: float) -> list[Line]:
        """The lines of the second that begins `number` seconds after the start, by time."""
        rate_per_s = self._rate_per_s if number >= 0 else self._rate_before_per_s
        count = math.floor(rate_per_s * (number + 1)) - math.floor(rate_per_s * number)
        bursts = [it for it in self._bursts if math.floor(it.at_s) == number]
        if not count and not bursts:
            return []
        rng = self._rng
        rng.seed(self._base + number)
        start_ns = self.origin_ns + number * NS_PER_S
        times_ns = [start_ns + int(rng.random() * NS_PER_S) for _ in range(count)]
        for burst in bursts:
            first_ns = self.origin_ns + round(burst.at_s * NS_PER_S)
            times_ns += [first_ns + int(rng.random() * burst.spread_ns) for _ in range(burst.lines)]
        times_ns.sort()
        choose = self._mix.choose
        return [line for at_ns in times_ns for line in self._with_twin(at_ns, choose(rng, age_s))]

    def last_lines(self, end_ns: int, status: Status) -> list[Line]:
        """The lines up to `end_ns` that explain the end; none if the rate is 0."""
        messages = LAST_MESSAGES.get(status, ()) if self._rate_per_s else ()
        self._rng.seed(self._base + end_ns)
        first_ns = end_ns - _LAST_LINES_STEP_NS * (len(messages) - 1)
        return [
            self._line(first_ns + number * _LAST_LINES_STEP_NS, message, pod=self.pods[0])
            for number, message in enumerate(messages)
        ]

    def stored_ns(self, at_ns: int) -> int:
        """The time in the resolution of the store."""
        is_exact = self._settings.dialect.resolution == "ns"
        return at_ns if is_exact else at_ns - at_ns % NS_PER_MS

    def _with_twin(self, at_ns: int, message: Message) -> Iterator[Line]:
        rng, pods = self._rng, self.pods
        pod = pods[0] if len(pods) == 1 else pods[int(rng.random() * len(pods))]
        line = self._line(at_ns, message, pod=pod)
        yield line
        twin_share = self._settings.lines.twin_share
        if twin_share and rng.random() < twin_share:
            yield self._stored(line.at_ns, line.json, is_twin=True)

    def _line(self, at_ns: int, message: Message, *, pod: str) -> Line:
        role, stream, msg = message
        rng, shares = self._rng, self._settings.lines
        if shares.cri_prefix_share and rng.random() < shares.cri_prefix_share:
            msg = f"{format_ns(at_ns)} {stream} F {msg}"
        lacks_stream = shares.without_stream_share and rng.random() < shares.without_stream_share
        containers = self.plan.containers
        entry = Entry(
            timestamp=entry_timestamp(at_ns, self._settings.dialect.resolution),
            pod=pod,
            container=containers[role % len(containers)],
            stream=UNSET if lacks_stream else stream,
            msg=msg,
        )
        return self._stored(self.stored_ns(at_ns), self._encode(entry))

    def _stored(self, at_ns: int, json: bytes, *, is_twin: bool = False) -> Line:
        rng, lines = self._rng, self._settings.lines
        visible_ns = at_ns + round(lines.ingest_delay_s * NS_PER_S)
        if lines.late_share and rng.random() < lines.late_share:
            visible_ns += int(rng.random() * lines.max_lateness_s * NS_PER_S)
        if not lines.hidden_share or rng.random() >= lines.hidden_share:
            return Line(at_ns, visible_ns, json, is_twin=is_twin)
        hidden_from_ns = visible_ns + int(rng.random() * _MAX_HIDING_DELAY_NS)
        hidden_until_ns = hidden_from_ns + round(lines.hidden_s * NS_PER_S)
        return Line(at_ns, visible_ns, json, hidden_from_ns, hidden_until_ns, is_twin)


def entry_timestamp(at_ns: int, resolution: Literal["ms", "ns"]) -> str:
    """RFC 3339 as the service writes it: fixed width, and `+00:00` instead of `Z`."""
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    fraction = f"{rest_ns:09d}" if resolution == "ns" else f"{rest_ns // NS_PER_MS:03d}"
    return f"{_whole_second(seconds)}.{fraction}+00:00"


@lru_cache(maxsize=64)
def _whole_second(seconds: int) -> str:
    return format_ns(seconds * NS_PER_S)[:19]
