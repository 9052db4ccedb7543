"""State fields as they lie in the store: the source that a `Map` reads lazily."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lmdb

from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.map import ABSENT, Absent, StoreFault
from microrollup.declaration.map_range import compute_stop
from microrollup.declaration.state import StateField
from microrollup.errors import DecodeError, StoreCorrupt, StoreError
from microrollup.store.environment import Environment, Transaction
from microrollup.store.layer import Unflushed
from microrollup.store.merging import merge_stored
from microrollup.store.row_check import check_absent, make_unpacker, unpack_row
from microrollup.store.rows_at import RowsAt
from microrollup.store.stored_keys import StoredKeys

__all__ = ["StateRows", "StoredRows", "read_scalar"]


class StoredRows:
    """The stored entries of one map field, as of the last block. Every failure is a `StoreFault`."""

    def __init__(
        self,
        environment: Environment,
        field: StateField,
        size: int,
        keys: StoredKeys | None = None,
        unflushed: Unflushed | None = None,
    ) -> None:
        """`size`: how many entries there are. `keys` show that settled entries are absent; else neighbours do.
        `unflushed` holds what the table lacks.
        """
        self._environment = environment
        self._unflushed = Unflushed() if unflushed is None else unflushed
        self._keys = keys
        self._field = field
        self._size = size
        self.key_class = field.key_classes
        self._unpack = make_unpacker()
        self.loaded_bytes = 0
        """Of all values that were loaded."""

    def load(self, key: Any) -> Any | Absent:
        """The stored value of a key, or `ABSENT`. Raises `ValueOutOfBounds` if the key is not of the key type."""
        field = self._field
        encoded = field.encode_key(key)
        row_key = field.row_prefix + encoded
        try:
            if self._unflushed.holds(row_key):
                raw = self._unflushed.get(row_key)
            elif self._keys is not None and field.settled:
                raw = self._find_settled(self._keys, compute_tree_key(field.number, encoded), row_key)
            else:
                raw = self._environment.get("state", row_key)
                if raw is None:
                    check_absent(self._environment.cursor("state"), row_key)
            if raw is None:
                return ABSENT
            self.loaded_bytes += len(raw)
            return field.decode_row(self._unpack(row_key, raw))
        except (lmdb.Error, DecodeError, StoreError) as error:
            raise self._note(f"state row 0x{row_key.hex()} of {field.name} cannot be read: {error}") from error

    def _find_settled(self, keys: StoredKeys, tree_key: bytes, row_key: bytes) -> bytes | None:
        """A row of the table. The tree is asked first: it has to be when the row changes, and what it does not have is
        absent.
        """
        if not keys.holds(tree_key):
            return None
        raw = self._environment.get("state", row_key)
        if raw is None:
            keys.check_deleted(tree_key)
        return raw

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        """The stored entries with encoded keys from `start` to before `stop`, in the order of encoded keys."""
        field = self._field
        low = field.row_prefix + start
        high = compute_stop(field.row_prefix) if stop is None else field.row_prefix + stop
        count, last = 0, None
        try:
            cursor, held = self._environment.cursor("state"), self._unflushed
            for row_key, raw in merge_stored(cursor, held.list_rows(low, high), held.get, low, high, reverse=reverse):
                if last is not None and (row_key >= last if reverse else row_key <= last):
                    raise DecodeError("row", f"0x{row_key.hex()} is out of order")
                count, last = count + 1, row_key
                yield field.decode_key(row_key[2:]), field.decode_row(self._unpack(row_key, raw))
            if not start and stop is None and count != self._size:
                raise DecodeError("rows", f"{count} where {self._size} were stored")
        except (lmdb.Error, DecodeError, StoreError) as error:
            raise self._note(f"the rows of {field.name} cannot be read: {error}") from error

    def _note(self, text: str) -> StoreFault:
        """The fault, kept where the executor finds it even if an STF swallows it."""
        self._environment.fault = StoreFault(text)
        return self._environment.fault

    def sort_key(self, key: Any) -> bytes:
        """The encoded key."""
        return self._field.encode_key(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        """What the encoded keys with a prefix begin with. Raises `ValueOutOfBounds` if it is not one."""
        return self._field.encode_prefix(prefix)


class StateRows:
    """The rows at a height, whatever fields they are of: what migrations read. Failures are `StoreFault`s."""

    def __init__(self, environment: Environment, height: int, txn: Transaction | None = None) -> None:
        """Reads in the owner's standing snapshot, or in a transaction that another thread has begun."""
        self._environment = environment
        self._rows = RowsAt(environment.reader if txn is None else txn, environment.tables, height)

    def get(self, row_key: bytes) -> bytes | None:
        """The value of a row; None if there is none."""
        try:
            return self._rows.get(row_key)
        except (lmdb.Error, StoreError) as error:
            raise self._note(f"state row 0x{row_key.hex()} cannot be read: {error}") from error

    def iterate(self, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The rows from one key to before another (None: to the end), in order."""
        try:
            yield from self._rows.iterate(start=low, stop=high, reverse=reverse)
        except (lmdb.Error, StoreError) as error:
            raise self._note(f"the rows from 0x{low.hex()} on cannot be read: {error}") from error

    def _note(self, text: str) -> StoreFault:
        self._environment.fault = StoreFault(text)
        return self._environment.fault


def read_scalar(environment: Environment, field: StateField, unflushed: Unflushed | None = None) -> Any:
    """The stored value of a scalar field. Raises `StoreCorrupt`."""
    prefix = field.row_prefix
    if unflushed is not None and unflushed.holds(prefix):
        raw = unflushed.get(prefix)
    else:
        raw = environment.get("state", prefix)
    if raw is None:
        raise StoreCorrupt(f"state/{field.name}", "missing")
    try:
        return field.decode_row(unpack_row(field.row_prefix, raw))
    except DecodeError as error:
        raise StoreCorrupt(f"state/{field.name}", error.reason) from None
