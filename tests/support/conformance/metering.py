"""Vectors of the metered form: what small functions return, and after how many steps."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import step_cases
from microrollup import Map
from microrollup.execution.metering import add_framework
from microrollup.guard.metered import MeteredCode
from microrollup.guard.steps import LimitReached

__all__ = ["make_steps"]


def make_steps() -> list[dict[str, Any]]:
    """Each function's source, its argument, and its result with the steps it took, or the limit that it reached."""
    code = MeteredCode()
    add_framework(code)
    code.build({step_cases.__name__: ast.parse(inspect.getsource(step_cases))})
    return [_run(code, function, argument) for function, argument in step_cases.CASES]


def _run(code: MeteredCode, function: step_cases.Case, argument: int) -> dict[str, Any]:
    form = code.find(function)
    if form is None:
        raise AssertionError(f"{function.__name__} has no metered form")
    numbers = Map({each: each * each for each in range(10)})
    case: dict[str, Any] = {"name": function.__name__, "source": inspect.getsource(function), "argument": argument}
    try:
        with code.meter:
            result = form(argument, numbers)
    except LimitReached as reached:
        return {**case, "limit": reached.limit}
    return {**case, "result": repr(result), "steps": code.meter.taken}
