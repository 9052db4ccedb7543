"""A state as encoded rows, the form in which a migration reads the old state and leaves the new one.

A row key is the field's two-byte prefix and the encoded key. Rows know nothing of versions: one version's fields decode
what is stored, the next one's encode what replaces it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from microrollup.declaration.map import ABSENT, Absent, Map, StoreFault, bind_map
from microrollup.declaration.map_range import compute_stop
from microrollup.declaration.state import State, StateField

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["FieldRows", "MemoryRows", "RowReader", "StagedRow", "StagedRows", "bind_state", "read_rows"]


class RowReader(Protocol):
    """The rows of a state, nonces aside."""

    def get(self, row_key: bytes) -> bytes | None:
        """The encoded value at a row key; None if there is none."""
        ...

    def iterate(self, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Row keys from `low` to before `high` (None: to the end) with their values, in order."""
        ...


class StagedRow(msgspec.Struct, frozen=True, gc=False):
    """What a migration makes of a row."""

    row: bytes | None
    """The encoded value; None: there is none any more."""
    leaf: bytes
    """What the commitment binds of it; empty for a deleted one."""


class StagedRows:
    """Rows that a migration has changed, over those that it found (a `RowReader`)."""

    def __init__(self, base: RowReader) -> None:
        self._base = base
        self.changed: dict[bytes, StagedRow] = {}
        self._order: list[bytes] = []

    def stage(self, changes: Mapping[bytes, StagedRow]) -> None:
        """Take over what one migration has changed."""
        self.changed.update(changes)
        self._order = sorted(self.changed)

    def get(self, row_key: bytes) -> bytes | None:
        staged = self.changed.get(row_key)
        return self._base.get(row_key) if staged is None else staged.row

    def iterate(self, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        first = bisect_left(self._order, low)
        last = len(self._order) if high is None else bisect_left(self._order, high)
        keys = self._order[first:last]
        if reverse:
            keys.reverse()
        at = 0
        for row_key, raw in self._base.iterate(low, high, reverse=reverse):
            while at < len(keys) and (keys[at] > row_key if reverse else keys[at] < row_key):
                yield from self._show(keys[at])
                at += 1
            if at < len(keys) and keys[at] == row_key:
                yield from self._show(row_key)
                at += 1
            else:
                yield row_key, raw
        for row_key in keys[at:]:
            yield from self._show(row_key)

    def _show(self, row_key: bytes) -> Iterator[tuple[bytes, bytes]]:
        row = self.changed[row_key].row
        if row is not None:
            yield row_key, row


class MemoryRows:
    """The rows of a state that is in memory, as tests have it (a `RowReader`)."""

    def __init__(self, rollup: MicroRollup, state: State) -> None:
        self._rows: dict[bytes, bytes] = {}
        for field in rollup.state_type.fields:
            value = field.read(state)
            for key, entry in value.items() if field.is_map else [(None, value)]:
                self._rows[field.row_prefix + field.encode_key(key)] = field.encode_row(entry)
        self._order = sorted(self._rows)

    def get(self, row_key: bytes) -> bytes | None:
        return self._rows.get(row_key)

    def iterate(self, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        keys = [key for key in self._order if key >= low and (high is None or key < high)]
        return ((key, self._rows[key]) for key in (reversed(keys) if reverse else keys))


class FieldRows:
    """The entries of one map field among the rows (a `MapSource`)."""

    def __init__(self, rows: RowReader, field: StateField, size: int | None = None) -> None:
        """`size`: how many entries there are, where that is known; a row that is lost is noticed by it."""
        self._rows = rows
        self._field = field
        self._size = size
        self.key_class = field.key_classes

    def load(self, key: Any) -> Any | Absent:
        field = self._field
        raw = self._rows.get(field.row_prefix + field.encode_key(key))
        return ABSENT if raw is None else field.decode_row(raw)

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        field = self._field
        prefix = field.row_prefix
        high, count = compute_stop(prefix) if stop is None else prefix + stop, 0
        for row_key, raw in self._rows.iterate(prefix + start, high, reverse=reverse):
            count += 1
            yield field.decode_key(row_key[2:]), field.decode_row(raw)
        if self._size not in (None, count) and not start and stop is None:
            raise StoreFault(f"{field.name} has {count} rows where {self._size} were stored")

    def sort_key(self, key: Any) -> bytes:
        return self._field.encode_key(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        return self._field.encode_prefix(prefix)


def bind_state(rollup: MicroRollup, rows: RowReader, sizes: tuple[int, ...]) -> State:
    """A version's state over rows: maps read them when they are asked; `sizes` are the fields' numbers of entries."""
    values: dict[str, Any] = {}
    for field, size in zip(rollup.state_type.fields, sizes, strict=False):
        if field.is_map:
            values[field.name] = bind_map(FieldRows(rows, field, size), size)
        else:
            raw = rows.get(field.row_prefix)
            if raw is None:
                raise ValueError(f"the state has no {field.name}")
            values[field.name] = field.decode_row(raw)
    return rollup.state_type.build(values)


def read_rows(rollup: MicroRollup, rows: RowReader) -> State:
    """A version's state out of rows, whole and in memory."""
    values: dict[str, Any] = {}
    for field in rollup.state_type.fields:
        prefix = field.row_prefix
        found = dict(FieldRows(rows, field).iterate()) if field.is_map else field.decode_row(rows.get(prefix) or b"")
        values[field.name] = Map(found) if field.is_map else found
    return rollup.state_type.build(values)
