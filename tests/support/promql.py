"""Evaluates what alert rules and dashboards ask, over samples in memory: the part of PromQL that they use.

Expressions are parsed by `promql-parser`, Prometheus's grammar. What this does not know raises `NotImplementedError`.
`increase`, `rate` and `delta` extrapolate as Prometheus does; a sample is taken for up to five minutes.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import promql_parser
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Samples", "Vector", "evaluate", "find_metrics_of"]

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
"""Without the metric's name."""

LOOKBACK_SECONDS: Final = 300.0

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan if not a else math.copysign(math.inf, a),
}  # fmt: skip
_AGGREGATES: Final[dict[str, Callable[[list[float]], float]]] = {
    "sum": math.fsum, "max": max, "min": min, "count": len, "avg": lambda values: math.fsum(values) / len(values),
}  # fmt: skip


class Samples:
    """Series: values at times, in seconds."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Labels], tuple[list[float], list[float]]] = {}

    def add(self, name: str, labels: dict[str, str], at: float, value: float) -> None:
        times, values = self._series.setdefault((name, frozenset(labels.items())), ([], []))
        times.append(at)
        values.append(value)

    def scrape(self, text: str, at: float, **labels: str) -> None:
        """Take a node's answer, as Prometheus does, with the target's labels."""
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.add(sample.name, {**sample.labels, **labels}, at, sample.value)

    def select(self, selector: Any) -> Iterator[tuple[Labels, list[float], list[float]]]:
        for (name, labels), (times, values) in self._series.items():
            known = dict(labels)
            if name == selector.name and all(_matches(each, known) for each in selector.matchers.matchers):
                yield labels, times, values


def _matches(matcher: Any, labels: dict[str, str]) -> bool:
    value, kind = labels.get(matcher.name, ""), str(matcher.op)
    match kind:
        case "MatchOp.Equal":
            return bool(value == matcher.value)
        case "MatchOp.NotEqual":
            return bool(value != matcher.value)
        case "MatchOp.Re":
            return re.fullmatch(matcher.value, value) is not None
        case "MatchOp.NotRe":
            return re.fullmatch(matcher.value, value) is None
    raise NotImplementedError(kind)


def find_metrics_of(expression: str) -> set[str]:
    """The names of all series that an expression asks for. Raises `ValueError` for what is no PromQL."""
    names: set[str] = set()

    def visit(node: Any) -> None:
        match node:
            case promql_parser.VectorSelector():
                names.add(node.name)
            case promql_parser.MatrixSelector():
                visit(node.vector_selector)
            case promql_parser.BinaryExpr():
                visit(node.lhs)
                visit(node.rhs)
            case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
                visit(node.expr)
            case promql_parser.Call():
                for argument in node.args:
                    visit(argument)
            case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
                pass
            case _:
                raise NotImplementedError(type(node).__name__)

    visit(promql_parser.parse(expression))
    return names


def evaluate(expression: str, samples: Samples, at: float) -> Vector | float:
    """What an expression gives at a time."""
    return _evaluate(_parse(expression), samples, at)


@functools.cache
def _parse(expression: str) -> Any:
    return promql_parser.parse(expression)


def _evaluate(node: Any, samples: Samples, at: float) -> Vector | float:
    match node:
        case promql_parser.NumberLiteral():
            return float(node.val)
        case promql_parser.ParenExpr():
            return _evaluate(node.expr, samples, at)
        case promql_parser.VectorSelector():
            return _look(node, samples, at)
        case promql_parser.BinaryExpr():
            return _combine(node, _evaluate(node.lhs, samples, at), _evaluate(node.rhs, samples, at))
        case promql_parser.AggregateExpr():
            return _aggregate(node, _evaluate(node.expr, samples, at))
        case promql_parser.Call():
            return _call(node, samples, at)
    raise NotImplementedError(type(node).__name__)


def _look(selector: Any, samples: Samples, at: float) -> Vector:
    found: Vector = {}
    for labels, times, values in samples.select(selector):
        index = bisect_right(times, at) - 1
        if index >= 0 and times[index] > at - LOOKBACK_SECONDS:
            found[labels] = values[index]
    return found


# --- operators -------------------------------------------------------------------------------------------------------


def _combine(node: Any, left: Vector | float, right: Vector | float) -> Vector | float:
    sign = str(node.op)
    if isinstance(left, float) and isinstance(right, float):
        return _ARITHMETIC[sign](left, right)
    if isinstance(right, float) or isinstance(left, float):
        return _combine_scalar(sign, left, right)
    key = _make_key(node.modifier)
    others: dict[Labels, float] = {key(labels): value for labels, value in right.items()}
    match sign:
        case "and":
            return {labels: value for labels, value in left.items() if key(labels) in others}
        case "unless":
            return {labels: value for labels, value in left.items() if key(labels) not in others}
        case "or":
            mine = {key(labels) for labels in left}
            return left | {labels: value for labels, value in right.items() if key(labels) not in mine}
    if node.modifier is not None and str(node.modifier.card) != "VectorMatchCardinality.OneToOne":
        raise NotImplementedError("group_left")
    assert len(others) == len(right), "several series match: Prometheus refuses this"
    keys = [key(labels) for labels in left]
    assert len(set(keys)) == len(keys), "several series match: Prometheus refuses this"
    pairs = {labels: (value, others[key(labels)]) for labels, value in left.items() if key(labels) in others}
    if sign in _COMPARISONS:
        return {labels: a for labels, (a, b) in pairs.items() if _COMPARISONS[sign](a, b)}
    return {key(labels): _ARITHMETIC[sign](a, b) for labels, (a, b) in pairs.items()}


def _combine_scalar(sign: str, left: Vector | float, right: Vector | float) -> Vector:
    found: Vector = {}
    series = right if isinstance(left, float) else left
    assert isinstance(series, dict)
    for labels, value in series.items():
        a, b = (left, value) if isinstance(left, float) else (value, right)
        assert isinstance(a, float)
        assert isinstance(b, float)
        if sign in _ARITHMETIC:
            found[labels] = _ARITHMETIC[sign](a, b)
        elif _COMPARISONS[sign](a, b):
            found[labels] = value
    return found


def _make_key(modifier: Any) -> Callable[[Labels], Labels]:
    matching = None if modifier is None else modifier.matching
    if matching is None:
        return lambda labels: labels
    names, on = set(matching.labels), str(matching.type) == "LabelModifierType.Include"
    return lambda labels: frozenset(pair for pair in labels if (pair[0] in names) == on)


def _aggregate(node: Any, vector: Vector | float) -> Vector:
    assert isinstance(vector, dict)
    if str(node.op) not in _AGGREGATES:
        raise NotImplementedError(str(node.op))
    modifier = node.modifier
    names = set() if modifier is None else set(modifier.labels)
    by = modifier is None or str(modifier.type) == "AggModifierType.By"
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(frozenset(pair for pair in labels if (pair[0] in names) == by), []).append(value)
    return {labels: float(_AGGREGATES[str(node.op)](values)) for labels, values in groups.items()}


# --- functions -------------------------------------------------------------------------------------------------------


def _call(node: Any, samples: Samples, at: float) -> Vector:
    name, arguments = node.func.name, list(node.args)
    match name:
        case "increase" | "rate" | "delta":
            found = {}
            for labels, times, values, seconds in _read_range(arguments[0], samples, at):
                rise = _extrapolate(times, values, at, seconds, counter=name != "delta")
                if rise is not None:
                    found[labels] = rise / seconds if name == "rate" else rise
            return found
        case "changes":
            return {
                labels: float(sum(a != b for a, b in pairwise(values)))
                for labels, _, values, _ in _read_range(arguments[0], samples, at)
            }
        case "histogram_quantile":
            quantile, buckets = (_evaluate(each, samples, at) for each in arguments)
            assert isinstance(quantile, float)
            assert isinstance(buckets, dict)
            return _find_quantiles(quantile, buckets)
    raise NotImplementedError(name)


def _read_range(matrix: Any, samples: Samples, at: float) -> Iterator[tuple[Labels, list[float], list[float], float]]:
    seconds = matrix.range.total_seconds()
    for labels, times, values in samples.select(matrix.vector_selector):
        first, last = bisect_left(times, at - seconds), bisect_right(times, at)
        if first < last:
            yield labels, times[first:last], values[first:last], seconds


def _extrapolate(times: list[float], values: list[float], at: float, seconds: float, *, counter: bool) -> float | None:
    """Prometheus's `extrapolatedRate`, before its division by the range."""
    if len(times) < 2:
        return None
    rise = values[-1] - values[0]
    if counter:
        rise += sum(a for a, b in pairwise(values) if b < a)
    to_start, to_end = times[0] - (at - seconds), at - times[-1]
    sampled = times[-1] - times[0]
    average = sampled / (len(times) - 1)
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and rise > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * values[0] / rise)
    if to_end >= average * 1.1:
        to_end = average / 2
    return rise * (sampled + to_start + to_end) / sampled


def _find_quantiles(quantile: float, buckets: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        known = dict(labels)
        bound = float(known.pop("le"))
        groups.setdefault(frozenset(known.items()), []).append((bound, count))
    return {labels: _find_quantile(quantile, sorted(pairs)) for labels, pairs in groups.items()}


def _find_quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    total = buckets[-1][1]
    if not total:
        return math.nan
    rank = quantile * total
    index = next(i for i, (_, count) in enumerate(buckets) if count >= rank)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    low, before = buckets[index - 1] if index else (0.0, 0.0)
    high, count = buckets[index]
    return low + (high - low) * (rank - before) / (count - before)
