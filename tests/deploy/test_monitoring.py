"""Alerts and dashboard use only metrics and labels that docs/metrics.md lists."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.dockerfile import ROOT

MANUAL = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "deploy/grafana/tailer.json").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SCRAPED = {"job", "instance"}  # labels that Prometheus adds
GRID_COLUMNS = 24


def metrics() -> Iterator[tuple[str, set[str]]]:
    """Every series of the manual's table, with its labels; a histogram is three."""
    rows = re.findall(r"^\| `(tailer_\w+)` \| (\w+) \|([^|]*)\|", MANUAL, re.MULTILINE)
    for name, kind, labels in rows:
        names = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            yield f"{name}_bucket", names
            yield f"{name}_sum", names - {"le"}
            yield f"{name}_count", names - {"le"}
        else:
            yield name, names


METRICS = dict(metrics())


def used(expression: str) -> set[str]:
    return set(re.findall(r"\btailer_\w+", expression))


def label_names(expression: str) -> set[str]:
    """Labels in selectors and in `by`, `without` and `on` clauses."""
    selectors = re.findall(r"\{([^}]*)\}", expression)
    chosen = {name for text in selectors for name in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", text)}
    grouped = re.findall(r"\b(?:by|without|on) \(([^)]*)\)", expression)
    return chosen | {name.strip() for text in grouped for name in text.split(",")}


def expressions() -> list[Any]:
    alerts = [pytest.param(rule["expr"], id=rule["alert"]) for rule in RULES]
    panels = [
        pytest.param(target["expr"], id=f"{panel['id']} {panel['title']} {target['refId']}")
        for panel in PANELS
        for target in panel["targets"]
    ]
    variables = [
        pytest.param(variable["definition"].rpartition(",")[0], id=f"variable {variable['name']}")
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    return [*alerts, *panels, *variables]


@pytest.mark.parametrize("expression", expressions())
def test_it_uses_existing_metrics(expression: str) -> None:
    assert used(expression)
    assert used(expression) <= METRICS.keys()


@pytest.mark.parametrize("expression", expressions())
def test_it_uses_existing_labels(expression: str) -> None:
    assert label_names(expression) <= SCRAPED.union(*(METRICS[name] for name in used(expression)))


@pytest.mark.parametrize("expression", expressions())
def test_counters_are_used_only_with_rate_or_increase(expression: str) -> None:
    """The raw value of a counter depends on the uptime: use rate() or increase()."""
    for name in used(expression):
        is_counter = name.endswith(("_total", "_bucket"))
        grown = re.search(rf"\b(?:rate|increase)\({name}(?:\{{[^}}]*\}})?\[", expression)
        assert bool(grown) == is_counter


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_and_a_remedy(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_names_only_labels_that_its_expression_keeps(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = SCRAPED | label_names(rule["expr"])
    if " by (" not in rule["expr"]:
        kept = kept.union(*(METRICS[name] for name in used(rule["expr"])))

    assert named <= kept


def test_every_loss_metric_has_an_alert() -> None:
    watched = set().union(*(used(rule["expr"]) for rule in RULES))

    assert {
        "tailer_gaps_total",
        "tailer_stalled_tasks",
        "tailer_spool_full",
        "tailer_sink_up",
    } <= watched


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= GRID_COLUMNS
        taken |= cells

    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_table_of_metrics_is_found() -> None:
    assert METRICS["tailer_requests_total"] == {"class", "code"}
    assert METRICS["tailer_lateness_seconds_bucket"] == {"le"}
