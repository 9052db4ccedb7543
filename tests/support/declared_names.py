"""Names that the reference must hold, read from the source: log events, metrics, refusal codes, errors, settings."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Final

from paths import ROOT

__all__ = ["find_log_events", "find_metrics", "find_refusal_codes"]

_SOURCE: Final = ROOT / "microrollup"
_LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_KINDS: Final = frozenset({"Counter", "Gauge", "Histogram", "Summary"})


def find_log_events() -> dict[str, set[str]]:
    """Log event -> the levels at which it is logged; `exception` is an error with a traceback.

    Raises `LookupError` where a logger is used in a way that this does not see through.
    """
    events: dict[str, set[str]] = {}
    for tree in _parse_all("_log"):
        for function in [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]:
            for argument, levels in _find_log_calls(function):
                for name in _resolve(argument, function, tree):
                    events.setdefault(name, set()).update(levels)
    return events


def _find_log_calls(function: ast.AST) -> Iterator[tuple[ast.expr, set[str]]]:
    """The first argument of each call of the logger, or of a name that stands for one or several of its methods."""
    aliases = {
        assignment.targets[0].id: _find_levels(assignment.value)
        for assignment in ast.walk(function)
        if isinstance(assignment, ast.Assign) and isinstance(assignment.targets[0], ast.Name)
    }
    seen = set().union(*aliases.values())
    for call in _calls(function):
        direct = _find_levels(call.func) if isinstance(call.func, ast.Attribute) else set()
        levels = direct or aliases.get(getattr(call.func, "id", ""), set())
        seen |= levels
        if levels:
            yield call.args[0], levels
    if _find_levels(function) - seen:
        raise LookupError(f"a logger is used in a way that is not understood: {ast.dump(function)[:200]}")


def _find_levels(tree: ast.AST) -> set[str]:
    """The levels of all mentions of the module's logger."""
    return {
        node.attr.replace("exception", "error")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in _LEVELS
        if isinstance(node.value, ast.Name) and node.value.id == "_log"
    }


@functools.cache
def find_metrics() -> frozenset[str]:
    """The names of all metrics as `/metrics` shows them, without the suffixes of counters and histograms."""
    names = set()
    for tree in _parse_all(*_KINDS, "watch"):
        for call in _calls(tree):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            first = call.args[0] if call.args else None
            if name in _KINDS and isinstance(first, ast.Constant):
                names.add(first.value)
            elif name in {"watch", "watch_count"} and isinstance(first, ast.Constant):
                names.add(f"microrollup_{first.value}")
    return frozenset(names)


def find_refusal_codes() -> set[str]:
    """The `code` of every class that has one as a class attribute."""
    return {
        statement.value.value
        for tree in _parse_all("code = ")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        if [target.id for target in statement.targets if isinstance(target, ast.Name)] == ["code"]
    }


def _parse_all(*words: str) -> Iterator[ast.Module]:
    """The modules in whose text one of the words stands."""
    for path in sorted(_SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in words):
            yield ast.parse(text)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _resolve(argument: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> Iterator[str]:
    """The event of a call: a constant, or what the module gives the function whose parameter it is."""
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
        return
    parameters = [parameter.arg for parameter in function.args.args if parameter.arg != "self"]
    if not isinstance(argument, ast.Name) or argument.id not in parameters:
        raise LookupError(f"line {argument.lineno}: an event that is neither a constant nor a parameter")
    position = parameters.index(argument.id)
    for call in _calls(tree):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called == function.name:
            yield from _constants(call.args[position])


def _constants(argument: ast.expr) -> Iterator[str]:
    """Every string that an expression can be."""
    match argument:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _constants(body)
            yield from _constants(orelse)
        case _:
            raise LookupError(f"line {argument.lineno}: an event that is not a constant")
