"""What is known, for Prometheus: read when it is asked for, so that nothing is counted twice.

docs/operating.md says what each metric means, and a test holds the two together. No label
has a value that targets could multiply.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tailer import __version__
from tailer.health.health import Health
from tailer.health.liveness import not_ready, stalled
from tailer.health.targets import LATENESS_BUCKETS_S, Lateness
from tailer.model import GapReason
from tailer.status.document import count_phases
from tailer.timestamp import NS_PER_S

# There from the beginning: a series that begins with its first trouble shows no increase.
_USUAL_ANSWERS = (0, 200, 401, 404, 429, 500, 502, 503, 504)
_CODES = frozenset(int(status) for status in HTTPStatus)


def render_metrics(health: Health, *, now_s: float, started_ns: int) -> bytes:
    """In Prometheus' text format. `now_s` is monotonic."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(lambda: _families(health, now_s=now_s, started_ns=started_ns)))
    return generate_latest(registry)


class _Reading(Collector):
    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return self._families()


def _families(health: Health, *, now_s: float, started_ns: int) -> Iterator[Metric]:
    yield from _process(health, now_s=now_s, started_ns=started_ns)
    yield from _targets(health)
    yield from _requests(health)
    yield from _spool(health)
    yield from _sinks(health)


def _process(health: Health, *, now_s: float, started_ns: int) -> Iterator[Metric]:
    build = GaugeMetricFamily("tailer_build_info", "Always 1.", labels=("version", "python"))
    build.add_metric((__version__, platform.python_version()), 1)
    yield build
    yield _gauge("start_time_seconds", "Begin, since 1970.", started_ns / NS_PER_S)
    yield _gauge("ready", "1 when /readyz says 200.", not not_ready(health))
    yield _gauge("stalled", "Reasons that /healthz has for a 503.", len(stalled(health, now_s)))
    delay_s = health.loop.delay_s(now_s)
    yield _gauge("loop_delay_seconds", "Worst of the last minute.", delay_s)


def _targets(health: Health) -> Iterator[Metric]:
    sums = health.totals()
    phases = GaugeMetricFamily("tailer_targets", "Targets by phase.", labels=("phase",))
    for phase, count in count_phases(health).items():
        phases.add_metric((phase,), count)
    yield phases
    yield _counter("targets_retired", "Of which nothing more is expected.", health.retired)
    behind_s = (one.behind_s(health.service_ns) for one in health.targets.values())
    furthest_s = max((one for one in behind_s if one is not None), default=0.0)
    yield _gauge("behind_seconds", "Of the target furthest behind.", furthest_s)
    yield _counter("read_lines", "Lines read, each once.", sums.lines)
    yield _counter("read_bytes", "Bytes of their messages.", sums.text_bytes)
    yield _counter("late_lines", "Lines that came after newer ones.", sums.late)
    yield _lateness(sums.lateness)
    yield _counter("repeated_lines", "Lines shown again, not passed on again.", sums.repeated)
    yield _counter("polls", "Reads of a target that went through.", sums.reads)
    gaps = CounterMetricFamily("tailer_gaps", "Lines may be missing.", labels=("reason",))
    for reason in GapReason:
        gaps.add_metric((reason.value,), health.gaps[reason])
    yield gaps


def _lateness(lateness: Lateness) -> Metric:
    counts = [lateness.counts[index] for index in range(len(LATENESS_BUCKETS_S) + 1)]
    bounds = [*map(str, LATENESS_BUCKETS_S), "+Inf"]
    family = HistogramMetricFamily("tailer_lateness_seconds", "Of late lines.")
    family.add_metric((), [*zip(bounds, accumulate(counts), strict=True)], lateness.sum_s)
    return family


def _requests(health: Health) -> Iterator[Metric]:
    seen = health.requests
    counts = Counter({_labels(status): 0 for status in _USUAL_ANSWERS})
    for status, count in seen.answers.items():
        counts[_labels(status)] += count
    answers = CounterMetricFamily(
        "tailer_requests", "Requests that ended, by status.", labels=("class", "code")
    )
    for labels, count in counts.items():
        answers.add_metric(labels, count)
    yield answers
    yield _counter("request_retries", "Requests that asked the same again.", seen.retries)
    tokens = CounterMetricFamily(
        "tailer_token_requests", "Requests for tokens.", labels=("outcome",)
    )
    tokens.add_metric(("granted",), seen.tokens_granted)
    tokens.add_metric(("failed",), seen.tokens_failed)
    yield tokens
    yield _gauge("request_rate_limit", "Requests a second, as configured.", seen.limit_per_s)
    yield _gauge("request_rate", "Requests a second, as allowed now.", seen.rate_per_s)
    yield _gauge("request_budget", "Requests that need not wait now.", seen.budget)


def _labels(status: int) -> tuple[str, str]:
    if not status:
        return "none", "none"
    return f"{status // 100}xx", str(status) if status in _CODES else "other"


def _spool(health: Health) -> Iterator[Metric]:
    seen = health.spool
    yield _gauge("spool_bytes", "Of lines that some sink lacks.", seen.undelivered_bytes)
    yield _gauge("spool_limit_bytes", "As configured.", seen.max_bytes)
    yield _gauge("spool_oldest_seconds", "How long the oldest line waits.", seen.oldest_s)
    yield _gauge("spool_full", "1 while reading waits for room.", seen.is_full)


def _sinks(health: Health) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"tailer_sink_{name}", f"Of a sink: {words}.", labels=("sink",))
        for name, words in (
            ("up", "1 while it is open and its last write went through"),
            ("lag_lines", "lines it has not taken yet"),
            ("lag_seconds", "how long the oldest of them waits"),
        )
    }
    counters = {
        name: CounterMetricFamily(f"tailer_sink_{name}", f"Of a sink: {words}.", labels=("sink",))
        for name, words in (
            ("delivered_lines", "lines it has taken"),
            ("delivered_bytes", "bytes of their messages"),
            ("failures", "attempts that failed"),
        )
    }
    for sink in health.sinks.values():
        gauges["up"].add_metric((sink.name,), sink.is_up)
        gauges["lag_lines"].add_metric((sink.name,), sink.lag_lines)
        gauges["lag_seconds"].add_metric((sink.name,), sink.lag_s)
        counters["delivered_lines"].add_metric((sink.name,), sink.lines)
        counters["delivered_bytes"].add_metric((sink.name,), sink.text_bytes)
        counters["failures"].add_metric((sink.name,), sink.failures)
    yield from gauges.values()
    yield from counters.values()


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tailer_{name}", words, value=value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"tailer_{name}", words, value=value)
