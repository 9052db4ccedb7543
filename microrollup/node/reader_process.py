"""A reader process: it runs an app's queries over the store, which the node's process goes on writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from microrollup.codec.json_text import parse_json
from microrollup.declaration.query import load_reads
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import IndexNotReady, MicrorollupError, NotRetained, UsageError
from microrollup.execution.querying import QueryCode, QueryRunner
from microrollup.ledger.code import OtherCode
from microrollup.ledger.indexes.viewing import IndexReader
from microrollup.ledger.viewing import ReadFault, make_view
from microrollup.node.child import begin_child
from microrollup.store.environment import Environment
from microrollup.store.overlays import Overlays
from microrollup.store.spans import Spans

__all__ = ["QueryReply", "QueryRequest", "ReplyCode", "serve_queries"]

ReplyCode: TypeAlias = QueryCode | Literal["ok", "not_retained", "other_code", "usage", "internal"]


class QueryRequest(msgspec.Struct, frozen=True, array_like=True):
    """One query to run."""

    name: str
    height: int | None
    params: bytes
    """A JSON object of the arguments, which the node has checked."""


class QueryReply(msgspec.Struct, frozen=True, array_like=True):
    """What became of it."""

    code: ReplyCode
    answer: bytes = b""
    """JSON text, if the code is "ok"."""
    detail: str = ""
    steps: int = 0
    index: tuple[str, int, int] | None = None
    """Of an index that is not ready: its name, the height that it has reached (-1: none), and the newest height."""


_REQUEST_DECODER: Final = msgspec.msgpack.Decoder(QueryRequest)
_encode: Final = msgspec.msgpack.Encoder().encode


def serve_queries(pipe: Any, reference: str, directory: str, version: int) -> None:
    """Answer requests, one at a time, until the pipe is closed or the parent has ended."""
    begin_child()
    reader = _Reader(reference, Path(directory), version)
    pipe.send_bytes(_encode(QueryReply("ok")))
    while True:
        try:
            raw = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_encode(reader.answer(_REQUEST_DECODER.decode(raw))))


class _Reader:
    """The app's queries over one store."""

    def __init__(self, reference: str, directory: Path, version: int) -> None:
        self._rollup = load_rollup(reference).versions[version]
        reads = load_reads(self._rollup)
        if reads is None:
            raise UsageError(f"{reference} has no queries")
        self._queries = reads.queries
        self._runner = QueryRunner(reads)
        self._environment = Environment(directory, read_only=True)
        self._spans, self._overlays = Spans(), Overlays()
        self._indexes = IndexReader(directory, reads.indexes)

    def answer(self, request: QueryRequest) -> QueryReply:
        """Run a query in one transaction."""
        query = self._queries[request.name]
        try:
            arguments = query.read_arguments(parse_json(request.params))
            with self._environment.snapshot() as txn, self._indexes.session() as find_index:
                view = make_view(
                    self._rollup, txn, self._environment, request.height, self._spans, self._overlays, find_index
                )
                outcome = self._runner.run(query, view, arguments)
        except ReadFault as fault:
            return _refuse(fault.cause)
        except MicrorollupError as error:
            return _refuse(error)
        if outcome.fault is not None:
            return QueryReply(outcome.fault.code, b"", outcome.fault.detail, outcome.steps)
        return QueryReply("ok", outcome.answer, "", outcome.steps)


def _refuse(error: MicrorollupError) -> QueryReply:
    match error:
        case NotRetained():
            return QueryReply("not_retained", b"", str(error))
        case IndexNotReady():
            return QueryReply(error.code, b"", str(error), index=(error.index, error.reached, error.tip))
        case OtherCode():
            return QueryReply("other_code", b"", f"block {error.height} has a state of another version of the app")
        case UsageError():
            return QueryReply("usage", b"", str(error))
        case _:
            return QueryReply("internal", b"", str(error))
