"""The state after a closed block as queries see it: a `View` whose maps read one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from microrollup.chain.block import Header
from microrollup.declaration.index import IndexView
from microrollup.declaration.map import ABSENT, Absent, StoreFault, bind_map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.declaration.view import View
from microrollup.errors import DecodeError, NotRetained, StoreCorrupt, StoreError, WrongRollup
from microrollup.ledger.code import OtherCode, get_code_at
from microrollup.ledger.reading import read_header, require_retained
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.overlays import Overlays
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import Spans
from microrollup.store.tables import Checkpoint, decode_checkpoint, get_checkpoint

__all__ = ["ReadFault", "ViewedRows", "make_view"]


class ReadFault(StoreFault):
    """The store could not be read while a query ran; `cause` says why."""

    def __init__(self, cause: StoreError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ViewedRows:
    """The entries of one map at a height (a `MapSource`). Every failure is a `ReadFault`."""

    def __init__(self, field: StateField, rows: RowsAt) -> None:
        self._field = field
        self._rows = rows
        self.key_class = field.key_classes

    def load(self, key: Any) -> Any | Absent:
        field = self._field
        row_key = field.row_prefix + field.encode_key(key)
        try:
            raw = self._rows.get(row_key)
            return ABSENT if raw is None else field.decode_row(raw)
        except (DecodeError, StoreError) as error:
            raise _make_fault(row_key, error) from error

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        field = self._field
        row_key = field.row_prefix + start
        try:
            for row_key, raw in self._rows.iterate(field.row_prefix, start, stop, reverse=reverse):
                yield field.decode_key(row_key[len(field.row_prefix) :]), field.decode_row(raw)
        except (DecodeError, StoreError) as error:
            raise _make_fault(row_key, error) from error

    def sort_key(self, key: Any) -> bytes:
        return self._field.encode_key(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        return self._field.encode_prefix(prefix)


def _make_fault(row_key: bytes, error: DecodeError | StoreError) -> ReadFault:
    if isinstance(error, DecodeError):
        return ReadFault(StoreCorrupt(f"state/0x{row_key.hex()}", error.reason))
    return ReadFault(error)


def make_view(
    rollup: MicroRollup,
    txn: Transaction,
    environment: Environment,
    height: int | None = None,
    spans: Spans | None = None,
    overlays: Overlays | None = None,
    find_index: Callable[[Header, int], Callable[[Any], IndexView[Any, Any]]] | None = None,
) -> View[Any]:
    """The state after a closed block (the newest by default), for as long as the transaction lasts.

    `find_index` makes of the block's header and the newest height what finds the rows of an index.

    Raises `NotRetained`, `UsageError` for a height that never was, `OtherCode` for one at which another version was in
    force, `WrongRollup` and `StoreCorrupt`.
    """
    tables = environment.tables
    tip = get_checkpoint(txn, tables)
    height = tip.height if height is None else height
    require_retained(txn, environment, height, tip.height)
    if (in_force := get_code_at(environment, txn, rollup, height)) is not rollup:
        raise OtherCode(height, expected=in_force.stf_id, found=rollup.stf_id)
    checkpoint = tip if height == tip.height else _read_checkpoint(txn, environment, height)
    fields = rollup.state_type.fields
    if len(checkpoint.sizes) != len(fields) + 1:
        raise WrongRollup("the store's state has other fields than the app's")
    rows = RowsAt(txn, tables, height, spans, overlays)
    values: dict[str, Any] = {}
    for field, size in zip(fields, checkpoint.sizes, strict=False):
        if field.is_map:
            values[field.name] = bind_map(ViewedRows(field, rows), size)
        else:
            raw = rows.get(field.row_prefix)
            if raw is None:
                raise StoreCorrupt(f"state/{field.name}", "missing")
            values[field.name] = field.decode_row(raw)
    header = read_header(txn, environment, height)
    find = None if find_index is None else find_index(header, tip.height)
    return View(rollup.state_type.build(values), header.timestamp, height, find)


def _read_checkpoint(txn: Transaction, environment: Environment, height: int) -> Checkpoint:
    """What was true after a block below the tip: what was true before the next one."""
    raw = txn.get(encode_number(height + 1), db=environment.tables["undo_checkpoint"])
    if raw is None:
        raise NotRetained(f"height {height} is no longer kept")
    try:
        return decode_checkpoint(bytes(raw))
    except DecodeError as error:
        raise StoreCorrupt(f"undo_checkpoint/{height + 1}", error.reason) from None
