"""The state after an older block, read lazily through the changes of later blocks, as far as they are retained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from microrollup.declaration.map import ABSENT, Absent, bind_map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import State, StateField
from microrollup.errors import StoreCorrupt
from microrollup.ledger.reading import require_retained
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.rows_at import RowsAt
from microrollup.store.tables import decode_checkpoint, get_checkpoint

__all__ = ["read_past_state"]


class _PastSource:
    """One map field of the old rows, as a `MapSource`."""

    def __init__(self, rows: RowsAt, field: StateField) -> None:
        self._rows = rows
        self._field = field
        self.key_class = field.key_classes

    def load(self, key: Any) -> Any | Absent:
        field = self._field
        raw = self._rows.get(field.row_prefix + field.encode_key(key))
        return ABSENT if raw is None else field.decode_row(raw)

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        field = self._field
        for row_key, raw in self._rows.iterate(field.row_prefix, start, stop, reverse=reverse):
            yield field.decode_key(row_key[2:]), field.decode_row(raw)

    def sort_key(self, key: Any) -> bytes:
        return self._field.encode_key(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        return self._field.encode_prefix(prefix)


def read_past_state(
    environment: Environment, txn: Transaction, rollup: MicroRollup, height: int, watch: Callable[[], None]
) -> State:
    """The state after the block at `height`; it reads from `txn` as long as it lives.

    `watch` is called now and then while the later changes are read, and may raise. Raises `NotRetained`, `UsageError`
    for a height that never was, `StoreCorrupt`.
    """
    tables = environment.tables
    tip = get_checkpoint(txn, tables)
    require_retained(txn, environment, height, tip.height)
    rows = RowsAt(txn, tables, height)
    rows.load(watch)
    sizes = tip.sizes
    if height < tip.height:
        raw = txn.get(encode_number(height + 1), db=tables["undo_checkpoint"])
        if raw is None:
            raise StoreCorrupt(f"undo_checkpoint/{height + 1}", "missing")
        sizes = decode_checkpoint(bytes(raw)).sizes
    values: dict[str, Any] = {}
    for (name, field), size in zip(rollup.state_fields, sizes, strict=False):
        if field.is_map:
            values[name] = bind_map(_PastSource(rows, field), size)
        else:
            scalar = rows.get(field.row_prefix)
            if scalar is None:
                raise StoreCorrupt(f"state/{name}", "missing")
            values[name] = field.decode_row(scalar)
    return rollup.state_type.build(values)
