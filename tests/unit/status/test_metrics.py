"""/metrics exposes the metrics of docs/metrics.md, however many targets there are."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from support.fakes import TARGET

from tailer.health.health import Health
from tailer.health.targets import Phase
from tailer.model import Gap, GapReason, Kind, Target
from tailer.status.metrics import render_metrics

MANUAL = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(tailer_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
MANY = 1000
FEW_SERIES = 150


def rendered(health: Health) -> str:
    return render_metrics(health, now_s=0, started_ns=10**18).decode()


def samples(health: Health) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(rendered(health))
        for sample in family.samples
    }


def one_sink() -> Health:
    health = Health()
    health.of_sink("file")
    return health


def exposed() -> set[tuple[str, str, frozenset[str]]]:
    """Name, kind and labels of each metric, as Prometheus' own parser reads them."""
    return {
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels),
        )
        for family in text_string_to_metric_families(rendered(one_sink()))
    }


def test_the_manual_lists_exactly_the_metrics_with_their_labels() -> None:
    documented = {
        (name, kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(MANUAL)
    }

    assert exposed() == documented


def test_the_number_of_series_is_independent_of_the_targets() -> None:
    few = len(samples(one_sink()))
    health = one_sink()
    for number in range(MANY):
        target = Target(f"group-{number}", Kind.EXECUTION, f"e{number}")
        one = health.of(target)
        one.enter(Phase.FOLLOWING, now_s=0)
        one.record_gap(Gap(target, 1, 2, GapReason.SATURATED))

    found = samples(health)
    assert len(found) == few < FEW_SERIES
    assert found["tailer_targets", "following"] == MANY
    assert found["tailer_gaps_total", "saturated"] == MANY


def test_all_unknown_statuses_are_one_series() -> None:
    health = Health()
    health.requests.answers.update(range(900, 1000))

    found = samples(health)
    assert found["tailer_requests_total", "9xx", "other"] == 100


def test_no_counter_goes_back_when_targets_are_forgotten() -> None:
    health = Health()
    seen = []
    for number in range(2 * MANY):
        target = Target("default", Kind.EXECUTION, f"e{number}")
        one = health.of(target)
        one.totals.lines += 3
        one.totals.lateness.record([7.0])
        health.retire(target)
        if number % 500 == 499:
            found = samples(health)
            names = ("tailer_lines_read_total", "tailer_lateness_seconds_count")
            seen.append(tuple(found[(name,)] for name in names))

    assert seen == [(1500, 500), (3000, 1000), (4500, 1500), (6000, 2000)]


def test_lateness_falls_into_the_bucket_that_it_is_within() -> None:
    health = Health()
    health.of(TARGET).totals.lateness.record([0.5, 0.6, 61.0, 5000.0])

    found = samples(health)
    buckets = {key[1]: value for key, value in found.items() if key[0].endswith("_bucket")}
    assert [buckets[bound] for bound in ("0.5", "1.0", "60.0", "120.0", "900.0", "+Inf")] == [
        1, 2, 2, 3, 3, 4,
    ]  # fmt: skip
    assert found["tailer_lateness_seconds_sum",] == 5062.1
