"""Alert rules over time, and the cases of `promtool test rules`, whose file promtool itself can be given as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import promql_parser
import yaml

from paths import ROOT
from promql import Labels, Samples, evaluate

__all__ = [
    "ALERTS", "CASES", "Rule", "find_firing", "list_firing", "read_cases", "read_expected", "read_rules",
    "read_seconds", "run_case",
]  # fmt: skip

ALERTS: Final = ROOT / "microrollup" / "templates" / "ops" / "alerts.yml"
CASES: Final = ROOT / "tests" / "node" / "alerts.test.yml"

QUERY: Final = 'count by (alertname) (ALERTS{alertstate="firing"})'

_EVERY_SECONDS: Final = 15.0
"""Between two evaluations."""


class Rule(msgspec.Struct, frozen=True):
    """An alert."""

    name: str
    expression: str
    seconds: float
    """So long it has to hold."""
    labels: dict[str, str]
    annotations: dict[str, str]


def read_rules(path: Path = ALERTS) -> dict[str, Rule]:
    """By name."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    found = [
        Rule(
            rule["alert"], rule["expr"], read_seconds(rule.get("for", "0s")), rule["labels"], rule["annotations"]
        )
        for rule in rules
    ]  # fmt: skip
    assert len({rule.name for rule in found}) == len(found)
    return {rule.name: rule for rule in found}


def read_seconds(text: str) -> float:
    """`5m`, `1h30m`."""
    return float(promql_parser.parse_duration(text).total_seconds()) if text != "0s" else 0.0


def find_firing(rule: Rule, samples: Samples, at: float, *, since: float = 0.0) -> set[Labels]:
    """The series for which a rule fires at a time, evaluated every quarter of a minute from `since` on."""
    return list_firing(rule, samples, [at], since=since)[at]


def list_firing(
    rule: Rule, samples: Samples, times: Iterable[float], *, since: float = 0.0
) -> dict[float, set[Labels]]:
    """The series for which a rule fires at each of the times, evaluated once over all of them."""
    began: dict[Labels, float] = {}
    now, firing = since, dict[float, set[Labels]]()
    for at in sorted(times):
        while now <= at:
            found = evaluate(rule.expression, samples, now)
            assert isinstance(found, dict)
            began = {labels: began.get(labels, now) for labels in found}
            now += _EVERY_SECONDS
        firing[at] = {labels for labels, then in began.items() if at - then >= rule.seconds}
    return firing


def read_cases() -> list[dict[str, Any]]:
    """The cases of promtool's file."""
    found: list[dict[str, Any]] = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    return found


def run_case(case: dict[str, Any], rules: dict[str, Rule]) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Each time that a case asks about: the alerts that should fire then in so many series, and those that do."""
    samples, step = Samples(), read_seconds(case["interval"])
    for series in case["input_series"]:
        name, labels = _read_series(series["series"])
        for index, value in enumerate(_read_values(series["values"])):
            if value is not None:
                samples.add(name, labels, index * step, value)
    expected = read_expected(case)
    times = [read_seconds(at) for at in expected]
    firing = {name: list_firing(rule, samples, times) for name, rule in rules.items()}
    return [
        (at, wanted, {name: len(found[time]) for name, found in firing.items() if found[time]})
        for time, (at, wanted) in zip(times, expected.items(), strict=True)
    ]


def read_expected(case: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Each time that a case asks about, and the alerts that should fire then in so many series."""
    assert {QUERY} == {test["expr"] for test in case["promql_expr_test"]}, "nothing else is understood here"
    expected = {
        test["eval_time"]: {_read_alert(each["labels"]): each["value"] for each in test["exp_samples"]}
        for test in case["promql_expr_test"]
    }
    assert len(expected) == len(case["promql_expr_test"]), "a time that is asked about twice"
    return expected


def _read_alert(labels: str) -> str:
    found = re.fullmatch(r'{alertname="(\w+)"}', labels)
    assert found is not None
    return found[1]


def _read_series(text: str) -> tuple[str, dict[str, str]]:
    selector = promql_parser.parse(text)
    assert isinstance(selector, promql_parser.VectorSelector)
    return str(selector.name), {each.name: each.value for each in selector.matchers.matchers}


def _read_values(text: str) -> list[float | None]:
    """Promtool's notation: `1 2 _ 0+3x5 7x4`."""
    values: list[float | None] = []
    for part in text.split():
        found = re.fullmatch(r"(-?[0-9.e]+|NaN)(?:([+-][0-9.e]+))?x(\d+)", part)
        if part == "_":
            values.append(None)
        elif found is None:
            values.append(float(part))
        else:
            first, rise, count = float(found[1]), float(found[2] or 0), int(found[3])
            values += [first + rise * index for index in range(count + 1)]
    return values
