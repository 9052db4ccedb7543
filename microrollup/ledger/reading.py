"""Reading a store at a height: values and Merkle proofs, while the writer goes on.

Rows are merged by `microrollup.store.rows_at`. A leaf or node at an older height is what the first later block that
touched it says that it was before.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.chain.block import Header
from microrollup.crypto.merkle.indexed import Proof, compute_root, compute_tree_key, verify_exclusion, verify_inclusion
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import DecodeError, NotRetained, ProofError, StoreCorrupt, UsageError
from microrollup.ledger.code import get_code_at
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.keys_at import KeysAt
from microrollup.store.old_path import OldPath
from microrollup.store.retention import get_lowest_height
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import Spans
from microrollup.store.tables import get_block_row, get_checkpoint, require_not_before_start
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import DeltaView, read_leaf_indices

__all__ = ["StateProof", "get_field", "get_field_at", "prove_state", "read_header", "read_value", "require_retained"]

_ATTEMPTS: Final = 50
"""A block that the writer finishes meanwhile changes the flat files under a reader's hands; then it reads again."""


class StateProof(msgspec.Struct, frozen=True):
    """That a settled field holds `value` at `key`, or nothing, at a height. Checked against the header's state root."""

    field: str
    key: bytes
    """Encoded: the key's own bytes, or 32 bytes big-endian for integers; empty for a scalar field."""
    tree_key: bytes
    exists: bool
    """Whether the key was ever set. A deleted key exists, with an empty value."""
    value: bytes
    """The value bytes that the leaf commits to; empty for an absent or deleted key."""
    stored: Any
    """The value itself; None for an absent or deleted key."""
    proof: Proof
    """Of the key's leaf, or of the low leaf that spans the gap."""
    header: Header


def get_field(rollup: MicroRollup, name: str | None) -> StateField:
    """The state field of that name; without a name, the one settled map. Raises `UsageError`."""
    if name is None:
        maps = [field for field in rollup.state_type.fields if field.is_map and field.settled]
        if len(maps) != 1:
            settled = ", ".join(field.name for field in rollup.state_type.fields if field.settled)
            raise UsageError(f"{rollup.name} has {len(maps)} settled maps: name the field, one of {settled}")
        return maps[0]
    for field in rollup.state_type.fields:
        if field.name == name:
            return field
    names = ", ".join(field.name for field in rollup.state_type.fields)
    raise UsageError(f"{rollup.name} has no field {name!r}; it has {names}")


def get_field_at(environment: Environment, app: MicroRollup, name: str | None, height: int | None) -> StateField:
    """The field of that name in the version whose state is that at a height, by default the newest.

    Raises `UsageError`, and `OtherCode` if the app does not know that version.
    """
    with environment.snapshot() as txn:
        tip = get_checkpoint(txn, environment.tables).height
        at = tip if height is None else height
        require_retained(txn, environment, at, tip)
        return get_field(get_code_at(environment, txn, app, at), name)


def read_header(txn: Transaction, environment: Environment, height: int) -> Header:
    """The header of a closed block. Raises `UsageError` if there is none at that height, and `NotRetained`."""
    row = get_block_row(txn, environment.tables, height)
    if row is None:
        raise UsageError(f"there is no block {height}")
    return row.header


def require_retained(txn: Transaction, environment: Environment, height: int, tip: int) -> None:
    """Raises `NotRetained` for a height whose state cannot be read any more, `UsageError` for one that never was."""
    lowest = get_lowest_height(txn, environment.tables, tip)
    if not 0 <= height <= tip:
        raise UsageError(f"there is no block {height}; the newest is {tip}")
    require_not_before_start(txn, environment.tables, height)
    if height < lowest:
        raise NotRetained(f"height {height} is no longer kept, the lowest is {lowest}; `replay` rebuilds older ones")


def _get_delta(txn: Transaction, environment: Environment, number: int) -> bytes | memoryview:
    raw = txn.get(encode_number(number), db=environment.tables["undo_tree"])
    if raw is None:
        raise StoreCorrupt(f"undo_tree/{number}", "missing")
    return raw


def read_value(
    environment: Environment,
    field: StateField,
    encoded_key: bytes,
    height: int | None = None,
    spans: Spans | None = None,
) -> Any:
    """The value of any field at a key and height (the newest by default); None if there is none.

    With `spans`, which frequent readers keep, far heights are as quick as near ones. Raises `NotRetained` for a
    height that is no longer kept, and `UsageError` for one that never was.
    """
    with environment.snapshot() as txn:
        tip = get_checkpoint(txn, environment.tables).height
        height = tip if height is None else height
        require_retained(txn, environment, height, tip)
        raw = RowsAt(txn, environment.tables, height, spans).get(field.row_prefix + encoded_key)
    return None if raw is None else field.decode_row(raw)


def prove_state(
    environment: Environment,
    tree: FlatTree,
    field: StateField,
    encoded_key: bytes,
    height: int | None = None,
    spans: Spans | None = None,
) -> StateProof:
    """Prove what a settled field holds at a key and height (the newest by default), present or absent.

    The proof is checked before it is returned. For `spans` see `read_value`. Raises `UsageError` for a metadata field
    or an unknown height, `NotRetained`, and `StoreCorrupt`.
    """
    if not field.settled:
        raise UsageError(f"{field.name} is a metadata field: it is not in the tree that settles")
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        with environment.snapshot() as txn:
            try:
                return _prove(txn, environment, tree, field, encoded_key, height, spans)
            except (ProofError, DecodeError, IndexError) as error:
                failure = error
    raise StoreCorrupt("nodes", f"the tree does not prove its own leaves: {failure}")


def _prove(
    txn: Transaction,
    environment: Environment,
    tree: FlatTree,
    field: StateField,
    encoded_key: bytes,
    height: int | None,
    spans: Spans | None,
) -> StateProof:
    tables = environment.tables
    checkpoint = get_checkpoint(txn, tables)
    tip = checkpoint.height
    height = tip if height is None else height
    require_retained(txn, environment, height, tip)
    header = read_header(txn, environment, height)
    leaf_count = checkpoint.leaf_count
    if height < tip:
        leaf_count = DeltaView(_get_delta(txn, environment, height + 1)).leaf_count_before
    tree_key = compute_tree_key(field.number, encoded_key)
    keys = KeysAt(txn, tables, height, leaf_count, None if spans is None else spans.keys)
    found = keys.find_leaf(tree_key)
    path = tree.begin_path(keys.find_low_leaf(tree_key) if found is None else found, leaf_count)
    _follow_path(txn, environment, path, height, tip, spans)
    proof = tree.finish_path(path)
    if compute_root(proof) != header.state_root:
        raise ProofError("the path does not lead to the state root")
    stored, value = None, b""
    if found is not None:
        row = RowsAt(txn, tables, height, spans).get(field.row_prefix + encoded_key)
        if row is not None:
            stored = field.decode_row(row)
            value = field.encode_leaf(stored)
        verify_inclusion(header.state_root, tree_key, value, proof)
    else:
        verify_exclusion(header.state_root, tree_key, proof)
    return StateProof(field.name, encoded_key, tree_key, found is not None, value, stored, proof, header)


def _follow_path(
    txn: Transaction, environment: Environment, path: OldPath, height: int, tip: int, spans: Spans | None
) -> None:
    """Show a path the blocks that changed something of it, until all is known."""
    number = height + 1
    while number <= tip and not path.is_complete:
        if spans is not None:
            number = spans.skip_for_path(txn, environment.tables, path, number, tip)
            if number > tip:
                break
        raw = _get_delta(txn, environment, number)
        if path.is_touched(read_leaf_indices(raw)):
            path.apply(DeltaView(raw))
        number += 1
