"""State fields as they lie in the store: the source that a `Map` reads lazily, and the index of tree keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import lmdb

from microrollup.codec.schema import IntegerType, StringType
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.map import ABSENT, Absent, StoreFault
from microrollup.state import StateField
from microrollup.store.environment import Environment

__all__ = ["StoredKeys", "StoredRows", "decode_leaf_index", "encode_leaf_index", "read_scalar"]

LEAF_INDEX_BYTES: Final = 4

_KEY_CLASSES: Final[dict[type, type]] = {IntegerType: int, StringType: str}
"""All other keys are `bytes`."""


class StoredRows:
    """The stored entries of one map field, as of the last block. Every failure is a `StoreFault`."""

    def __init__(self, environment: Environment, field: StateField) -> None:
        self._environment = environment
        self._field = field
        self.key_class = _KEY_CLASSES.get(type(field.key_type), bytes)

    def load(self, key: Any) -> Any | Absent:
        """The stored value of a key, or `ABSENT`. Raises `ValueOutOfBounds` if the key is not of the key type."""
        field = self._field
        row_key = field.row_prefix + field.encode_key(key)
        try:
            raw = self._environment.get("state", row_key)
            return ABSENT if raw is None else field.decode_row(raw)
        except (lmdb.Error, DecodeError) as error:
            raise self._note(f"state row 0x{row_key.hex()} of {field.name} cannot be read: {error}") from error

    def iterate(self) -> Iterator[tuple[Any, Any]]:
        """All stored entries in the order of their encoded keys."""
        field = self._field
        prefix = field.row_prefix
        try:
            cursor = self._environment.cursor("state")
            if cursor.set_range(prefix):
                for row_key, raw in cast("Iterator[tuple[bytes, bytes]]", iter(cursor)):
                    if row_key[:2] != prefix:
                        return
                    yield field.decode_key(row_key[2:]), field.decode_row(raw)
        except (lmdb.Error, DecodeError) as error:
            raise self._note(f"the rows of {field.name} cannot be read: {error}") from error

    def _note(self, text: str) -> StoreFault:
        """The fault, kept where whoever executes finds it even if an STF swallows it."""
        self._environment.fault = StoreFault(text)
        return self._environment.fault

    def sort_key(self, key: Any) -> bytes:
        """The encoded key."""
        return self._field.encode_key(key)


def read_scalar(environment: Environment, field: StateField) -> Any:
    """The stored value of a scalar field. Raises `StoreCorrupt`."""
    raw = environment.get("state", field.row_prefix)
    if raw is None:
        raise StoreCorrupt(f"state/{field.name}", "missing")
    try:
        return field.decode_row(raw)
    except DecodeError as error:
        raise StoreCorrupt(f"state/{field.name}", error.reason) from None


def encode_leaf_index(leaf_index: int) -> bytes:
    """4 bytes, big-endian."""
    return leaf_index.to_bytes(LEAF_INDEX_BYTES, "big")


def decode_leaf_index(raw: bytes) -> int:
    """The leaf index of its 4 bytes."""
    return int.from_bytes(raw, "big")


class StoredKeys:
    """The keys in the tree, in the `tree` table (a `KeyIndex`)."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def find_all(self, tree_keys: Iterable[bytes]) -> Mapping[bytes, int]:
        """The leaf indices of those keys that ever were set."""
        found = self._environment.cursor("tree").getmulti(sorted(tree_keys))
        return {bytes(key): decode_leaf_index(bytes(raw)) for key, raw in found}

    def low_neighbour(self, tree_key: bytes) -> tuple[bytes | None, int, bytes | None]:
        """The greatest key below (None for the dummy), its leaf index, and the least key above."""
        return find_low_neighbour(self._environment.cursor("tree"), tree_key)


def find_low_neighbour(cursor: lmdb.Cursor, tree_key: bytes) -> tuple[bytes | None, int, bytes | None]:
    """The gap of an absent tree key, by a cursor of the `tree` table."""
    if cursor.set_range(tree_key):
        above: bytes | None = bytes(cursor.key())
        found = cursor.prev()
    else:
        above = None
        found = cursor.last()
    return (bytes(cursor.key()), decode_leaf_index(bytes(cursor.value())), above) if found else (None, 0, above)
