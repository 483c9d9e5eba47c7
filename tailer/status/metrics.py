"""Prometheus metrics, computed from the health records at each scrape.

docs/metrics.md describes every metric, and a test compares the two. No label has a target's
id, pod or container, so the number of series does not grow with the number of targets.
"""

import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate

from prometheus_client import generate_latest
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

# Exposed from the start with 0: Prometheus sees no increase in a series that starts with 1.
_USUAL_STATUSES = (0, 200, 401, 404, 429, 500, 502, 503, 504)
_CODES = frozenset(int(status) for status in HTTPStatus)


def render_metrics(health: Health, *, now_s: float, started_ns: int) -> bytes:
    """Render all metrics in the text format of Prometheus. `now_s` is monotonic."""
    return generate_latest(_HealthCollector(health, now_s, started_ns))


@dataclass(frozen=True, slots=True)
class _HealthCollector(Collector):
    health: Health
    now_s: float
    started_ns: int

    def collect(self) -> Iterator[Metric]:
        yield from _process(self.health, now_s=self.now_s, started_ns=self.started_ns)
        for families in (_targets, _requests, _spool, _sinks):
            yield from families(self.health)


def _process(health: Health, *, now_s: float, started_ns: int) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "tailer_build_info",
        "Version of tailer and of Python; always 1.",
        labels=("version", "python"),
    )
    build.add_metric((__version__, platform.python_version()), 1)
    yield build
    yield _gauge(
        "start_time_seconds", "Start of the process in seconds since 1970.", started_ns / NS_PER_S
    )
    yield _gauge("ready", "1 while /readyz answers 200.", not not_ready(health))
    yield _gauge(
        "stalled_tasks",
        "Number of reasons for which /healthz answers 503.",
        len(stalled(health, now_s)),
    )
    yield _gauge(
        "event_loop_lag_seconds",
        "Largest delay of the event loop in the last minute.",
        health.loop.delay_s(now_s),
    )


def _targets(health: Health) -> Iterator[Metric]:
    sums = health.totals()
    phases = GaugeMetricFamily(
        "tailer_targets", "Number of targets in each phase.", labels=("phase",)
    )
    for phase, count in count_phases(health).items():
        phases.add_metric((phase,), count)
    yield phases
    yield _counter("targets_retired", "Finished targets that are no longer polled.", health.retired)
    lags_s = (one.behind_s(health.service_ns) for one in health.targets.values())
    yield _gauge(
        "read_lag_seconds",
        "Largest time by which reading a target is behind the service.",
        max((lag_s for lag_s in lags_s if lag_s is not None), default=0.0),
    )
    yield _counter("lines_read", "Log lines read, without duplicates.", sums.lines)
    yield _counter("bytes_read", "UTF-8 bytes of the messages of the lines read.", sums.text_bytes)
    yield _counter("late_lines", "Lines read after a newer line of their target.", sums.late)
    yield _lateness(sums.lateness)
    yield _counter(
        "duplicate_lines", "Lines that the service returned again; discarded.", sums.repeated
    )
    yield _counter("polls", "Successful polls of a target.", sums.reads)
    gaps = CounterMetricFamily(
        "tailer_gaps", "Time ranges in which lines may be lost.", labels=("reason",)
    )
    for reason in GapReason:
        gaps.add_metric((reason.value,), health.gaps[reason])
    yield gaps


def _lateness(lateness: Lateness) -> Metric:
    counts = [lateness.counts[index] for index in range(len(LATENESS_BUCKETS_S) + 1)]
    bounds = [*map(str, LATENESS_BUCKETS_S), "+Inf"]
    family = HistogramMetricFamily(
        "tailer_lateness_seconds", "Time from the timestamp of a late line until it was read."
    )
    family.add_metric((), [*zip(bounds, accumulate(counts), strict=True)], lateness.sum_s)
    return family


def _requests(health: Health) -> Iterator[Metric]:
    seen = health.requests
    counts = Counter({_labels(status): 0 for status in _USUAL_STATUSES})
    for status, count in seen.answers.items():
        counts[_labels(status)] += count
    answers = CounterMetricFamily(
        "tailer_requests",
        "Completed requests to AI Core, by HTTP status; without token requests.",
        labels=("class", "code"),
    )
    for labels, count in counts.items():
        answers.add_metric(labels, count)
    yield answers
    yield _counter("request_retries", "Requests that repeated a failed request.", seen.retries)
    tokens = CounterMetricFamily(
        "tailer_token_requests", "Requests for an access token, by outcome.", labels=("outcome",)
    )
    tokens.add_metric(("granted",), seen.tokens_granted)
    tokens.add_metric(("failed",), seen.tokens_failed)
    yield tokens
    yield _gauge("request_rate_limit", "Configured limit of requests per second.", seen.limit_per_s)
    yield _gauge(
        "request_rate", "Present limit of requests per second, after throttling.", seen.rate_per_s
    )
    yield _gauge(
        "request_tokens_available",
        "Requests that can be sent without waiting; negative while requests wait.",
        seen.budget,
    )


def _labels(status: int) -> tuple[str, str]:
    if not status:
        return "none", "none"
    return f"{status // 100}xx", str(status) if status in _CODES else "other"


def _spool(health: Health) -> Iterator[Metric]:
    seen = health.spool
    yield _gauge(
        "spool_pending_bytes",
        "Bytes of spooled lines that at least one sink has not written yet.",
        seen.undelivered_bytes,
    )
    yield _gauge("spool_limit_bytes", "Configured size limit of the spool.", seen.max_bytes)
    yield _gauge("spool_oldest_seconds", "Age of the oldest pending line.", seen.oldest_s)
    yield _gauge("spool_full", "1 while polling is paused because the spool is full.", seen.is_full)


def _sinks(health: Health) -> Iterator[Metric]:
    gauges = (
        ("up", "is_up", "1 while the sink is open and its last write succeeded."),
        ("lag_lines", "lag_lines", "Spooled lines that the sink has not written yet."),
        ("lag_seconds", "lag_s", "Age of the oldest line that the sink has not written yet."),
    )
    counters = (
        ("delivered_lines", "lines", "Lines that the sink has written."),
        ("delivered_bytes", "text_bytes", "UTF-8 bytes of the messages that the sink has written."),
        ("failures", "failures", "Failed attempts to open the sink or to write to it."),
    )
    for family_of, rows in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
        for name, field, text in rows:
            family = family_of(f"tailer_sink_{name}", text, labels=("sink",))
            for sink in health.sinks.values():
                family.add_metric((sink.name,), getattr(sink, field))
            yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tailer_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tailer_{name}", text, value=value)
