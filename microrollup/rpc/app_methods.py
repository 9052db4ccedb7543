"""Methods of an app's own: typed as its queries are, run in this process, over a `NodeView`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.answers.actions import ActionAnswer, BlockAnswer, HeaderAnswer, ReceiptAnswer
from microrollup.chain.answers.confirmations import Confirmation, Heights
from microrollup.chain.answers.state import StateProofAnswer
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.declaration.context import Revert
from microrollup.declaration.index import Index, IndexBlock, IndexView
from microrollup.declaration.query import Methods, Query
from microrollup.declaration.view import View
from microrollup.errors import LimitExceeded, NotRetained, UsageError
from microrollup.execution.querying import QueryFault, encode_answer
from microrollup.ledger.proof_json import make_proof_answer
from microrollup.ledger.viewing import ReadFault, make_view
from microrollup.node.errors import NotRecorded
from microrollup.node.open_entries import LoggedAction
from microrollup.node.status import describe_heights
from microrollup.rpc.errors import (
    ACTION_REFUSED,
    INTAKE_STOPPED,
    NOT_FOUND,
    NOT_RETAINED,
    QUERY_FAILED,
    UNAUTHORIZED,
    ErrorResponse,
)
from microrollup.rpc.method import Api, AppMethod
from microrollup.rpc.queries import read_arguments, read_members

__all__ = ["ServedNode", "make_app_methods", "open_node_view", "run_app_method"]

K = TypeVar("K")
V = TypeVar("V")

_ERRORS = (ACTION_REFUSED, INTAKE_STOPPED, NOT_FOUND, NOT_RETAINED, QUERY_FAILED, UNAUTHORIZED)


def make_app_methods(methods: Sequence[Methods]) -> list[AppMethod]:
    """The methods by their full names."""
    return [
        AppMethod(f"{own.namespace}_{name}", each.summary or "A method of the app.", each, each.answer, _ERRORS)
        for own in methods
        for name, each in own.methods.items()
    ]


def run_app_method(
    api: Api,
    method: Query,
    params: bytes,
    client: str | None = None,
    check_write: Callable[[], None] = lambda: None,
) -> msgspec.Raw:
    """What a method answers; `client` is whose share its envelopes count against, None for nobody's. `check_write`
    raises unless it may hand in any.

    Raises `ErrorResponse`, and what the method raises.
    """
    arguments = read_arguments(method, msgspec.json.encode(read_members(method, params)))
    try:
        with open_node_view(api, client, check_write) as node:
            return msgspec.Raw(encode_answer(method, method.function(node, *arguments)))
    except Revert as revert:
        raise _refuse("rejected", str(revert.reason)) from None
    except QueryFault as fault:
        raise _refuse(fault.code, fault.detail) from None
    except ReadFault as fault:
        raise fault.cause from None


def _refuse(code: str, detail: str) -> ErrorResponse:
    return ErrorResponse(QUERY_FAILED, detail, {"code": code, "detail": detail})


@contextmanager
def open_node_view(
    api: Api, client: str | None = None, check_write: Callable[[], None] = lambda: None
) -> Iterator[ServedNode]:
    """The node, for as long as one method runs that a client has asked for."""
    with ExitStack() as stack:
        yield ServedNode(api, stack, client, check_write)


class ServedNode:
    """The `NodeView` of one call."""

    def __init__(
        self, api: Api, stack: ExitStack, client: str | None = None, check_write: Callable[[], None] = lambda: None
    ) -> None:
        self._api = api
        self._check_write = check_write
        self._client = client
        self._stack = stack

    @property
    def directory(self) -> Path:
        return self._api.node.directory

    @property
    def height(self) -> int:
        return self._api.node.lookups.get_tip()

    @property
    def settled(self) -> int:
        settled, tip = self._api.node.l1.get_settled().height, self.height
        if settled > tip:
            raise NotRetained(f"L1 has settled block {settled}, and this store ends at {tip}")
        return settled

    @property
    def heights(self) -> Heights:
        return describe_heights(self._api.node)

    @property
    def rollup_id(self) -> bytes:
        return self._api.node.rollup_id

    @property
    def first_builder(self) -> bytes:
        return self._api.node.genesis.builder

    def submit(self, line: bytes, *, timeout: float = 30.0) -> SignedAcknowledgement:
        self._check_write()
        node = self._api.node
        try:
            (result,) = node.submit([line], self._client).result(timeout)
        except TimeoutError:
            raise LimitExceeded(
                f"not durable within {timeout:g} seconds; whether it is taken is not known yet"
            ) from None
        (signed,) = node.acknowledge([result])
        if isinstance(signed, SignedAcknowledgement):
            return signed
        raise signed

    def get_nonce(self, sender: bytes) -> int:
        return self._api.node.get_next_nonce(sender)

    def get_action(self, action: bytes | int, name: str | None = None) -> ActionAnswer:
        return self._api.views.action(self._find(action, name))

    def get_receipt(self, action: bytes | int, name: str | None = None) -> ReceiptAnswer:
        return self._api.views.receipt(self._find(action, name))

    def _find(self, action: bytes | int, name: str | None) -> LoggedAction:
        node = self._api.node
        if not isinstance(action, bytes):
            return node.lookups.get_action(action)
        return node.lookups.find_action(action if name is None else compute_envelope_id(node.rollup_id, name, action))

    def list_receipts(self, first: int, limit: int) -> list[ReceiptAnswer]:
        return [self._api.views.receipt(found) for found in self._api.node.read_receipts(first, min(limit, 1_000))]

    def get_header(self, height: int | None = None) -> HeaderAnswer:
        return self._api.views.header(self._api.node.lookups.get_header(height))

    def get_block(self, height: int | None = None) -> BlockAnswer:
        return self._api.views.block(self._api.node.lookups.get_block(height))

    def get_records(self, height: int) -> tuple[bytes, ...]:
        return self._api.node.lookups.read_records(height) if height else ()

    def get_confirmation(self, action: bytes | int) -> Confirmation:
        node, views = self._api.node, self._api.views
        if isinstance(action, bytes):
            found = node.lookups.find_action(action)
            height, level = found.height, views.level(found)
        elif node.lookups.is_block(action):
            height, level = action, node.confirmations.get_level(action)
        else:
            raise NotRecorded(f"there is no block {action}")
        depth = node.get_settled_depth(height) if level == "C3B" else None
        return views.confirmed(height, level, depth)

    def get_value(self, field: str, key: Any = None, height: int | None = None) -> Any:
        lookups = self._api.node.lookups
        found = lookups.get_field(field, height)
        return lookups.get_value(found, found.encode_key(key), height).value

    def view(self, height: int | None = None) -> View[Any]:
        node = self._api.node
        environment = node.ledger.environment
        txn = self._stack.enter_context(environment.snapshot())
        find_index = None if node.indexes is None else self._stack.enter_context(node.indexes.session())
        return make_view(node.rollup, txn, environment, height, find_index=find_index)

    def index(
        self, function: Callable[[IndexBlock[Any], Index[K, V]], None], height: int | None = None
    ) -> IndexView[K, V]:
        return self.view(height).index(function)

    def prove(self, field: str, key: Any = None, height: int | None = None) -> StateProofAnswer:
        lookups = self._api.node.lookups
        found = lookups.get_field(field, height)
        if not found.is_map and key is not None:
            raise UsageError(f"{field} is a scalar field: it has no keys")
        return make_proof_answer(found, lookups.prove(found, found.encode_key(key), height))
