"""Writes the lines of one target, a second at a time: the same seed, the same lines."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from random import Random

import msgspec
from msgspec import UNSET

from tailer.model import Entry, Status, Target, Text
from tailer.simulator.line_store import Line
from tailer.simulator.messages import LAST_WORDS, STORIES, Saying
from tailer.simulator.settings import SimulatorSettings, TargetSettings
from tailer.timestamp import NS_PER_MS, NS_PER_S, format_ns

_HIDES_WITHIN_NS = 2 * NS_PER_S
_LAST_WORDS_STEP_NS = 1000  # so close that no other line comes between


def stable_number(*names: object) -> int:
    """64 bits that depend on the names alone, unlike `hash`."""
    text = "/".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Typist:
    def __init__(
        self,
        target: Target,
        plan: TargetSettings,
        settings: SimulatorSettings,
        *,
        rate_per_s: float,
        origin_ns: int,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._rate_per_s = rate_per_s
        backlog_rate_per_s = settings.backlog_rate_per_s
        self._rate_before_per_s = (
            rate_per_s if backlog_rate_per_s is None or not rate_per_s else backlog_rate_per_s
        )
        self._origin_ns = origin_ns
        self._base = stable_number(settings.seed, target.resource_group, target.name)
        self._rng = Random(self._base)
        self._story = STORIES[plan.story]
        self._bursts = [it for it in settings.bursts if it.target_id in {"", target.id}]
        self._ns_digits = settings.dialect.resolution == "ns"
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
        start_ns = self._origin_ns + number * NS_PER_S
        times_ns = [start_ns + int(rng.random() * NS_PER_S) for _ in range(count)]
        for burst in bursts:
            first_ns = self._origin_ns + round(burst.at_s * NS_PER_S)
            times_ns += [first_ns + int(rng.random() * burst.spread_ns) for _ in range(burst.lines)]
        times_ns.sort()
        tell = self._story.tell
        return [line for at_ns in times_ns for line in self._say(at_ns, tell(rng, age_s))]

    def last_words(self, end_ns: int, status: Status) -> list[Line]:
        """What it says up to `end_ns`; nothing if it says nothing of its own."""
        sayings = LAST_WORDS.get(status, ()) if self._rate_per_s else ()
        self._rng.seed(self._base + end_ns)
        first_ns = end_ns - _LAST_WORDS_STEP_NS * (len(sayings) - 1)
        return [
            self._line(first_ns + number * _LAST_WORDS_STEP_NS, saying, pod=self.pods[0])
            for number, saying in enumerate(sayings)
        ]

    def entry(
        self,
        at_ns: int,
        msg: Text,
        *,
        pod: Text,
        container: Text,
        stream: Text,
        extra: Mapping[str, object],
    ) -> bytes:
        """The entry as the service sends it."""
        entry = Entry(
            timestamp=self._shown_time(at_ns), pod=pod, container=container, stream=stream, msg=msg
        )
        if not extra:
            return self._encode(entry)
        return self._encode({**msgspec.to_builtins(entry), **extra})

    def stored_ns(self, at_ns: int) -> int:
        """The time that the store keeps of it."""
        return at_ns if self._ns_digits else at_ns - at_ns % NS_PER_MS

    def _say(self, at_ns: int, saying: Saying) -> Iterator[Line]:
        rng = self._rng
        pods = self.pods
        pod = pods[0] if len(pods) == 1 else pods[int(rng.random() * len(pods))]
        line = self._line(at_ns, saying, pod=pod)
        yield line
        twin_share = self._settings.lines.twin_share
        if twin_share and rng.random() < twin_share:
            yield self._arriving(line.at_ns, line.json, is_twin=True)

    def _line(self, at_ns: int, saying: Saying, *, pod: str) -> Line:
        role, stream, msg = saying
        rng, odds = self._rng, self._settings.lines
        if odds.cri_prefix_share and rng.random() < odds.cri_prefix_share:
            msg = f"{format_ns(at_ns)} {stream} F {msg}"
        lacks_stream = odds.without_stream_share and rng.random() < odds.without_stream_share
        containers = self._plan.containers
        entry = Entry(
            timestamp=self._shown_time(at_ns),
            pod=pod,
            container=containers[role % len(containers)],
            stream=UNSET if lacks_stream else stream,
            msg=msg,
        )
        return self._arriving(self.stored_ns(at_ns), self._encode(entry))

    def _arriving(self, at_ns: int, json: bytes, *, is_twin: bool = False) -> Line:
        rng, odds = self._rng, self._settings.lines
        visible_ns = at_ns + round(odds.ingest_delay_s * NS_PER_S)
        if odds.late_share and rng.random() < odds.late_share:
            visible_ns += int(rng.random() * odds.max_lateness_s * NS_PER_S)
        if not odds.hidden_share or rng.random() >= odds.hidden_share:
            return Line(at_ns, visible_ns, json, is_twin=is_twin)
        hidden_from_ns = visible_ns + int(rng.random() * _HIDES_WITHIN_NS)
        hidden_until_ns = hidden_from_ns + round(odds.hidden_s * NS_PER_S)
        return Line(at_ns, visible_ns, json, hidden_from_ns, hidden_until_ns, is_twin)

    def _shown_time(self, at_ns: int) -> str:
        return shown_time(at_ns, ns_digits=self._ns_digits)


def shown_time(at_ns: int, *, ns_digits: bool) -> str:
    """As the service writes it: fixed width, and an offset where `Z` would do."""
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    whole = _whole_second(seconds)
    if ns_digits:
        return f"{whole}.{rest_ns:09d}+00:00"
    return f"{whole}.{rest_ns // NS_PER_MS:03d}+00:00"


@lru_cache(maxsize=64)
def _whole_second(seconds: int) -> str:
    return format_ns(seconds * NS_PER_S)[:19]
