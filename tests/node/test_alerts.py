"""Alert rules and the dashboard: an alert fires in a bad state and not in the next better one; their metrics exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from alert_rules import ALERTS, CASES, find_firing, read_cases, read_expected, read_rules, read_seconds, run_case
from declared_names import find_metrics
from microrollup.node.batch_timing import QUIET_BLOCKS
from microrollup.settlement.inbox import MAX_ORIGIN_AGE_BLOCKS
from paths import ROOT
from promql import Samples, evaluate, find_metrics_of

RULES = read_rules()
RUNBOOK = ROOT / "microrollup" / "docs" / "operate" / "alerts.md"
DASHBOARD = ROOT / "microrollup" / "templates" / "ops" / "dashboard.json"
SUFFIXES = re.compile(r"_(total|bucket|sum|count)$")
PROMETHEUS_OWN = {"up"}


@pytest.mark.parametrize("case", read_cases(), ids=lambda case: case["name"])
def test_each_case(case: dict[str, Any]) -> None:
    """At each time exactly the alerts fire that the case names, in as many series."""
    for at, expected, found in run_case(case, RULES):
        assert expected == found, at


def test_every_alert_has_a_case() -> None:
    """Each alert fires in one case, and in another moment of it does not."""
    fired = [name for case in read_cases() for expected in read_expected(case).values() for name in expected]
    assert set(RULES) == set(fired)


def test_promtool_agrees() -> None:
    """Where promtool is installed it gives the same answers; elsewhere this test only reads the rules."""
    promtool = shutil.which("promtool")
    if promtool is not None:
        subprocess.run([promtool, "check", "rules", ALERTS], check=True, capture_output=True)
        subprocess.run([promtool, "test", "rules", CASES], check=True, capture_output=True)
    assert all(rule.expression for rule in RULES.values())


def test_a_missing_quorum_alerts_at_half_of_a_day() -> None:
    """What is not settled within a day stops intake; the alert comes when half of it is over."""
    assert MAX_ORIGIN_AGE_BLOCKS // 2 == 2 * QUIET_BLOCKS == 7_200
    rule = RULES["QuorumMissing"]
    assert ("microrollup_quorum_missing_blocks > 0", 0.0) == (rule.expression, rule.seconds)


def find_unknown(expression: str) -> set[str]:
    """What an expression asks for that no node has."""
    known = find_metrics() | PROMETHEUS_OWN
    return {name for name in find_metrics_of(expression) if not {name, SUFFIXES.sub("", name)} & known}


def test_rules_name_metrics_that_exist() -> None:
    """A rule over a metric that is no more would never fire."""
    assert {} == {name: gone for name, rule in RULES.items() if (gone := find_unknown(rule.expression))}
    assert {"microrollup_nothing"} == find_unknown("microrollup_nothing > 1 and up")


def test_every_alert_has_its_lines_in_the_runbook() -> None:
    """`runbook_url` leads to a heading of the page; the page has no other alerts."""
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(RULES) == sorted(headings)
    for name, rule in RULES.items():
        assert rule.annotations["runbook_url"].endswith(f"/microrollup/docs/operate/alerts.md#{name.lower()}")
        assert {"summary", "runbook_url"} == set(rule.annotations)
        assert rule.labels["severity"] in {"warning", "critical"}


def read_queries() -> dict[str, list[str]]:
    """The queries of the dashboard by panel, its variables put in."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return {
        panel["title"]: [
            target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*") for target in panel["targets"]
        ]
        for panel in dashboard["panels"]
        if panel["type"] != "row"
    }


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    """Each panel has queries, each is PromQL, and what it asks for exists."""
    queries = read_queries()
    assert len(queries) > 15
    assert all(queries.values())
    assert {} == {title: gone for title, asked in queries.items() for each in asked if (gone := find_unknown(each))}


def test_the_dashboard_is_of_the_current_schema() -> None:
    """The classic model in its last version, which every Grafana since 9 takes: panels on a grid of 24 columns that do
    not overlap, ids that are unique.
    """
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert dashboard["schemaVersion"] == 42
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
    assert ["datasource", "instance"] == [variable["name"] for variable in dashboard["templating"]["list"]]


def test_the_evaluator() -> None:
    """The subset of PromQL that stands in for Prometheus: extrapolation, resets, matching, staleness."""
    samples = Samples()
    for index in range(11):
        samples.add("c_total", {"i": "a"}, 15.0 * index, 2.0 * index)
        samples.add("g", {"i": "a", "k": "x"}, 15.0 * index, float(index))
    for index, value in enumerate([5.0, 8.0, 1.0, 2.0]):
        samples.add("r_total", {}, 15.0 * index, value)
    key = frozenset({("i", "a")})
    assert {key: pytest.approx(8.0)} == evaluate("increase(c_total[1m])", samples, 150.0)
    assert {key: pytest.approx(8.0 / 60)} == evaluate("rate(c_total[1m])", samples, 150.0)
    assert {frozenset(): pytest.approx(5.0)} == evaluate("increase(r_total[45s])", samples, 45.0)
    assert {key: 20.0 - 10.0} == evaluate("c_total - ignoring (k) g", samples, 150.0)
    assert {} == evaluate("c_total - g", samples, 150.0)
    assert {} == evaluate("g", samples, 150.0 + 300.0)
    assert {} == evaluate("g > 10", samples, 150.0)
    assert {frozenset(): 10.0} == evaluate("sum without (k, i) (g)", samples, 150.0)
    with pytest.raises(NotImplementedError):
        evaluate("topk(3, g)", samples, 0.0)
    with pytest.raises(ValueError, match="invalid promql"):
        find_metrics_of("g >")
    assert 90.0 == read_seconds("1m30s")
    assert set() == find_firing(RULES["DiskLow"], samples, 0.0)
