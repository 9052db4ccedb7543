"""Calling an app's query in a test: metered and checked as a node does it, without a node.

run = execute(app, [(alice, Bid(auction=1, amount=5))])
assert [Offer(alice, 5)] == query(app, open_bids, run, 1, limit=10)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from microrollup.codec.json_text import parse_json
from microrollup.declaration.index import IndexView
from microrollup.declaration.query import Reads, describe_query, load_reads
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.view import View
from microrollup.errors import IndexNotReady, UsageError
from microrollup.execution.indexing import IndexRunner
from microrollup.execution.querying import QueryFault, QueryRunner
from microrollup.ledger.viewing import ReadFault
from microrollup.testing.executed import Execution
from microrollup.testing.indexing import fill_index

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

    Indexes that it asks for are filled from all blocks of the run, the open one included. Raises `QueryFault` as a node
    would answer it, `ValueOutOfBounds` for an argument of another type, and `UsageError` unless the function is one of
    the app's queries.
    """
    loaded = _load(app)
    described = describe_query(function)
    if loaded is None or loaded[0].queries.get(described.name) is not described:
        raise UsageError(f"{described.name} is not a query of {app.name}; see `reads` of its declaration")
    params = parse_json(msgspec.json.encode(described.write_arguments(arguments, named)))
    _, runner, indexes = loaded
    view = View(run.state, run.timestamp, run.height, partial(indexes.find, run))
    try:
        outcome = runner.run(described, view, described.read_arguments(params))
    except ReadFault as fault:
        if isinstance(fault.cause, IndexNotReady):
            raise QueryFault(fault.cause.code, str(fault.cause)) from None
        raise fault.cause from None
    if outcome.fault is not None:
        raise outcome.fault
    answer: R = described.form.read(parse_json(outcome.answer))
    return answer


class _Indexes:
    """The indexes of an app over the run that was asked of last: a test asks more than once."""

    def __init__(self, app: MicroRollup, reads: Reads) -> None:
        self._app = app
        self._types = {index.function: index for index in reads.indexes.values()}
        self._runner = IndexRunner(reads)
        self._run: Execution | None = None
        self._filled: dict[Any, IndexView[Any, Any]] = {}

    def find(self, run: Execution, function: Any) -> IndexView[Any, Any]:
        """The rows of an index, filled now if they were not."""
        if function not in self._types:
            raise TypeError(f"{getattr(function, '__name__', function)} is not one of the app's indexes")
        if self._run is not run:
            self._run, self._filled = run, {}
        if function not in self._filled:
            self._filled[function] = fill_index(self._app, self._runner, self._types[function], run)
        return self._filled[function]


@cache
def _load(app: MicroRollup) -> tuple[Reads, QueryRunner, _Indexes] | None:
    reads = load_reads(app)
    return None if reads is None else (reads, QueryRunner(reads), _Indexes(app, reads))
