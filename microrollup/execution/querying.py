"""Running a query: its steps are counted, its answer is checked, and whatever it does ends as an answer or a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
import structlog

from microrollup.declaration.context import Revert
from microrollup.declaration.map import StoreFault
from microrollup.declaration.query import Query, Reads
from microrollup.declaration.view import View
from microrollup.errors import MicrorollupError, RefusedError
from microrollup.execution.indexing import add_indexes
from microrollup.execution.metering import add_framework
from microrollup.guard.metered import MeteredCode
from microrollup.guard.stack import with_room
from microrollup.guard.steps import LimitReached

__all__ = ["MAX_RESULT_BYTES", "QUERY_STEPS", "QueryCode", "QueryFault", "QueryOutcome", "QueryRunner"]

QUERY_STEPS: Final = 200_000
"""Budget of one query."""

MAX_RESULT_BYTES: Final = 256 << 10
"""Of a query's answer as JSON."""

_MAX_DETAIL: Final = 256
_encode: Final = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)

QueryCode: TypeAlias = Literal[
    "steps", "depth", "size", "time", "memory", "rejected", "raised", "mistyped", "died", "index_building",
    "index_failed",
]  # fmt: skip
"""Why a query has no answer: a limit of metered code, of time or of memory, an answer that is too large ("size"), a
`Revert`, another exception, an answer of another type than declared, the end of its process, or an index without rows
for the height."""


class QueryFault(MicrorollupError):
    """A query has no answer; `code` says why, `detail` in a sentence."""

    def __init__(self, code: QueryCode, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code: QueryCode = code
        self.detail = detail


class QueryOutcome(msgspec.Struct, frozen=True):
    """What became of a query."""

    answer: bytes
    """JSON text; empty if there is a fault."""
    steps: int
    fault: QueryFault | None = None


class QueryRunner:
    """The metered form of an app's queries. For one thread."""

    def __init__(self, reads: Reads) -> None:
        self._parts = reads.parts
        self._code = MeteredCode()
        add_indexes(self._code, add_framework(self._code))
        self._code.build(reads.trees)
        self._code.meter.budget = QUERY_STEPS
        functions = [index.function for index in reads.indexes.values()]
        self._indexes: dict[Any, Any] = {self._code.find(function): function for function in functions}

    @with_room
    def run(self, query: Query, view: View[Any], arguments: Sequence[Any]) -> QueryOutcome:
        """The answer of a query over a view of the whole state, or its fault.

        Raises `StoreFault` if the state could not be read meanwhile.
        """
        function, meter = self._code.find(query.function), self._code.meter
        if function is None:
            raise AssertionError(f"{query.name} is not in the trees of its own module")
        part = self._parts[query.state].read(view.state)
        seen = View(part, view.timestamp, view.height, lambda form: view.index(self._indexes.get(form, form)))
        fault: QueryFault | None = None
        value: Any = None
        try:
            with meter:
                value = function(seen, *arguments)
        except LimitReached as reached:
            fault = _explain_limit(reached.limit)
        except Revert as revert:
            fault = QueryFault("rejected", str(revert.reason)[:_MAX_DETAIL])
        except StoreFault:
            raise
        except MemoryError:
            fault = QueryFault("memory", "it wants more memory than a reader process has")
        except RecursionError:
            fault = QueryFault("depth", "it recurses too deeply")
        except BaseException as error:  # whatever class the query made up for it
            _log.error("query_raised", query=query.name, error=type(error).__name__, exc_info=error)
            fault = QueryFault("raised", f"it raised {type(error).__name__}")
        if meter.limit is not None:
            fault = _explain_limit(meter.limit)
        if fault is None:
            try:
                return QueryOutcome(encode_answer(query, value), meter.taken)
            except QueryFault as mistake:
                fault = mistake
        return QueryOutcome(b"", meter.taken, fault)


def _explain_limit(limit: str) -> QueryFault:
    match limit:
        case "depth":
            return QueryFault("depth", "it recurses too deeply")
        case "size":
            return QueryFault("size", "it makes too large a value")
        case _:
            return QueryFault("steps", f"it takes more than {QUERY_STEPS} steps; ask for less at a time")


def encode_answer(query: Query, value: Any) -> bytes:
    """The JSON text of what a query returned. Raises `QueryFault` unless it is of the declared type and size."""
    if measure_value(value, MAX_RESULT_BYTES) > MAX_RESULT_BYTES:
        raise QueryFault("size", f"the answer has more than {MAX_RESULT_BYTES} bytes; ask for less at a time")
    try:
        document = query.form.write(value)
        query.form.read(document)
        answer = _encode(document)
    except (RefusedError, AttributeError, TypeError, ValueError, LookupError, RecursionError) as error:
        detail = error.detail if isinstance(error, RefusedError) else type(error).__name__
        raise QueryFault("mistyped", f"what it returned is not of the declared type: {detail}"[:_MAX_DETAIL]) from None
    if len(answer) > MAX_RESULT_BYTES:
        raise QueryFault("size", f"the answer has more than {MAX_RESULT_BYTES} bytes; ask for less at a time")
    return answer


def measure_value(value: Any, limit: int) -> int:
    """A lower bound of the JSON bytes of a value, counted no further than `limit`.

    A value of shared parts may be larger than memory once it is written. Raises `QueryFault` for a class that no answer
    has.
    """
    size, waiting = 0, [value]
    while waiting and size <= limit:
        part = waiting.pop()
        kind = type(part)
        if kind in (str, bytes):
            size += len(part)
        elif kind in (list, tuple):
            size += len(part)
            waiting.extend(part[: limit + 1])
        elif kind is dict:
            size += len(part)
            for name, inner in part.items():
                waiting += (name, inner)
        elif isinstance(part, msgspec.Struct):
            size += 2
            waiting.extend(msgspec.structs.astuple(part))
        elif kind in (int, bool, float, type(None), msgspec.UnsetType):
            size += 1
        else:
            raise QueryFault("mistyped", f"what it returned is not of the declared type: it holds a {kind.__name__}")
    return size
