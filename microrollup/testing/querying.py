"""Calling an app's query in a test: metered and checked as a node does it, without a node.

run = execute(app, [(alice, Bid(auction=1, amount=5))])
assert [Offer(alice, 5)] == query(app, open_bids, run, 1, limit=10)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from microrollup.codec.json_text import parse_json
from microrollup.declaration.query import describe_query, load_reads
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.view import View
from microrollup.errors import UsageError
from microrollup.execution.querying import QueryRunner
from microrollup.testing.execution import Execution

__all__ = ["query"]

P = ParamSpec("P")
R = TypeVar("R")


def query(
    app: MicroRollup,
    function: Callable[Concatenate[View[Any], P], R],
    run: Execution,
    /,
    *arguments: P.args,
    **named: P.kwargs,
) -> R:
    """What a query answers over the state of a run: its arguments go there, and its answer comes back, as JSON.

    Raises `QueryFault` as a node would answer it, `ValueOutOfBounds` for an argument of another type, and `UsageError`
    unless the function is one of the app's queries.
    """
    reads = _load(app)
    described = describe_query(function)
    if reads is None or reads[0].queries.get(described.name) is not described:
        raise UsageError(f"{described.name} is not a query of {app.name}; see `reads` of its declaration")
    params = parse_json(msgspec.json.encode(described.write_arguments(arguments, named)))
    view = View(run.state, run.timestamp, run.height)
    outcome = reads[1].run(described, view, described.read_arguments(params))
    if outcome.fault is not None:
        raise outcome.fault
    answer: R = described.form.read(parse_json(outcome.answer))
    return answer


@cache
def _load(app: MicroRollup) -> Any:
    reads = load_reads(app)
    return None if reads is None else (reads, QueryRunner(reads))
