"""What each action of a closed block changed: its entries executed again on the state before the block.

Nothing of this is kept anywhere: the state before is read through the undo of later blocks, as far as that is retained,
and execution is `apply_actions`, one entry at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from microrollup.authentication import Authenticated
from microrollup.codec.schema import IntegerType, StringType
from microrollup.entry import decode_forced, is_forced_record, make_forced_entry, make_signed_entry
from microrollup.errors import LimitExceeded, StoreCorrupt
from microrollup.journal import Journal
from microrollup.ledger import Ledger
from microrollup.map import ABSENT, Absent, Map, bind_map
from microrollup.node.lookups import ClosedBlock
from microrollup.node.open_entries import LoggedAction
from microrollup.reading import require_retained
from microrollup.receipt import EXECUTED
from microrollup.state import State, StateField
from microrollup.stf import BlockContext, ChainState, Entry, apply_actions
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.tables import decode_checkpoint, get_checkpoint
from microrollup.store.undo import decode_row_undo

__all__ = ["StateChange", "read_changes"]

LIMIT_SECONDS: Final = 2.0

_KEY_CLASSES: Final[dict[type, type]] = {IntegerType: int, StringType: str}


class StateChange(msgspec.Struct, frozen=True):
    """A key's change by one action; `ABSENT` where there was, or is, no value."""

    field: StateField
    key: bytes
    """Encoded."""
    before: Any
    after: Any


class _OldRows:
    """The state's rows as they were behind a height, in one transaction."""

    def __init__(self, txn: Transaction, environment: Environment, height: int, deadline: float) -> None:
        self.txn = txn
        self.tables = environment.tables
        tip = get_checkpoint(txn, self.tables).height
        require_retained(txn, environment, height, tip)
        self.old: dict[bytes, bytes | None] = {}
        for number in range(height + 1, tip + 1):
            if time.monotonic() > deadline:
                raise LimitExceeded(f"block {height + 1} is too far back to be executed again in {LIMIT_SECONDS:g} s")
            raw = txn.get(encode_number(number), db=self.tables["undo_rows"])
            if raw is None:
                raise StoreCorrupt(f"undo_rows/{number}", "missing")
            for key, value in decode_row_undo(raw):
                self.old.setdefault(key, value)

    def get(self, row_key: bytes) -> bytes | None:
        if row_key in self.old:
            return self.old[row_key]
        raw = self.txn.get(row_key, db=self.tables["state"])
        return None if raw is None else bytes(raw)

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with a prefix, ascending."""
        found: dict[bytes, bytes] = {}
        cursor = self.txn.cursor(self.tables["state"])
        if cursor.set_range(prefix):
            for key, value in cursor:
                if bytes(key[:2]) != prefix:
                    break
                found[bytes(key)] = bytes(value)
        for key, old in self.old.items():
            if key[:2] == prefix:
                found.pop(key, None)
                if old is not None:
                    found[key] = old
        yield from sorted(found.items())


class _OldSource:
    """One map field of the old rows, as a `MapSource`."""

    def __init__(self, rows: _OldRows, field: StateField) -> None:
        self._rows = rows
        self._field = field
        self.key_class = _KEY_CLASSES.get(type(field.key_type), bytes)

    def load(self, key: Any) -> Any | Absent:
        field = self._field
        raw = self._rows.get(field.row_prefix + field.encode_key(key))
        return ABSENT if raw is None else field.decode_row(raw)

    def iterate(self) -> Iterator[tuple[Any, Any]]:
        field = self._field
        for row_key, raw in self._rows.iterate(field.row_prefix):
            yield field.decode_key(row_key[2:]), field.decode_row(raw)

    def sort_key(self, key: Any) -> bytes:
        return self._field.encode_key(key)


def read_changes(ledger: Ledger, block: ClosedBlock) -> list[list[StateChange]]:
    """The changes of each of the block's entries, in order.

    Raises `NotRetained`, and `LimitExceeded` for a block that takes longer than a reader may.
    """
    if not block.actions:
        return []
    rollup, height, timestamp = ledger.rollup, block.header.height, block.header.timestamp
    deadline = time.monotonic() + LIMIT_SECONDS
    changes: list[list[StateChange]] = []
    with ledger.environment.snapshot() as txn:
        app = _read_state(ledger, txn, height, deadline)
        for action in block.actions:
            if time.monotonic() > deadline:
                raise LimitExceeded(f"block {height} takes longer than {LIMIT_SECONDS:g} s to execute again")
            journal = Journal(len(rollup.state_fields))
            if action.receipt.status == EXECUTED:
                entry = _make_entry(ledger, action)
                nonces: Map[bytes, int] = Map({entry.sender: entry.nonce}) if entry.nonce > 0 else Map()
                context = BlockContext(height, timestamp, action.seq, journal)
                state, _ = apply_actions(rollup, ChainState(app, nonces, 0), [entry], context)
                app = state.app
            changes.append(
                [
                    StateChange(field, encoded, change.before, change.after)
                    for field, touched in zip(rollup.state_type.fields, journal.fields, strict=True)
                    for encoded, change in touched.items()
                ]
            )
    return changes


def _read_state(ledger: Ledger, txn: Transaction, height: int, deadline: float) -> State:
    """The state before the block of a height, read lazily from the old rows."""
    rows = _OldRows(txn, ledger.environment, height - 1, deadline)
    raw = txn.get(encode_number(height), db=ledger.environment.tables["undo_checkpoint"])
    if raw is None:
        raise StoreCorrupt(f"undo_checkpoint/{height}", "missing")
    sizes = decode_checkpoint(bytes(raw)).sizes
    values: dict[str, Any] = {}
    for (name, field), size in zip(ledger.rollup.state_fields, sizes, strict=False):
        if field.is_map:
            values[name] = bind_map(_OldSource(rows, field), size)
        else:
            scalar = rows.get(field.row_prefix)
            if scalar is None:
                raise StoreCorrupt(f"state/{name}", "missing")
            values[name] = field.decode_row(scalar)
    return ledger.rollup.state_type.cls(**values)


def _make_entry(ledger: Ledger, action: LoggedAction) -> Entry:
    """The entry of a logged action; its signature was checked when it was taken."""
    if is_forced_record(action.record):
        return make_forced_entry(ledger.rollup, ledger.rollup_id, decode_forced(action.record))
    nonce = ledger.rollup.action_types.decode_trusted(action.record).nonce
    sender = action.sender or b""
    return make_signed_entry(
        ledger.rollup, Authenticated(action.record, sender, nonce, action.receipt.action_hash)
    )
