"""What a block changes, computed before anything is written: tree, set hash, rows, undo, and from them the header."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.block import Header
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto import EMPTY_HASH, keccak256
from microrollup.journal import Change, Journal
from microrollup.lthash import compute_metadata_root, update_lanes
from microrollup.map import ABSENT
from microrollup.merkle.indexed import compute_tree_key
from microrollup.merkle.items import compute_items_root
from microrollup.receipt import Receipt
from microrollup.record import Open
from microrollup.rollup import MicroRollup
from microrollup.state import NONCES
from microrollup.stf import ChainState
from microrollup.store.action_index import encode_place, make_index_key
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.rows import encode_leaf_index
from microrollup.store.tables import Checkpoint
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import TreeDelta, encode_delta
from microrollup.store.tree_index import KeyIndex
from microrollup.store.undo import encode_row_undo

__all__ = [
    "Closing",
    "StateChanges",
    "compute_changes",
    "compute_closing",
    "put_changes",
    "put_closing",
    "record_genesis",
]

_PREFIX: Final = NONCES.row_prefix
_Entry = tuple[int, bytes, bytes]


class StateChanges(msgspec.Struct, frozen=True):
    """The net changes of a block to everything that is kept of the state."""

    delta: TreeDelta
    lanes: bytes
    """The LtHash after the block, 2,048 bytes."""
    rows: list[tuple[bytes, bytes | None]]
    """State rows after the block, ascending; None: the row goes."""
    undo_rows: dict[bytes, bytes | None]
    """The same rows before it."""
    sizes: tuple[int, ...]


class Closing(msgspec.Struct, frozen=True):
    """A block's header and all that `finish` will write."""

    header: Header
    receipts: list[bytes]
    action_hashes: list[bytes]
    changes: StateChanges


def record_genesis(rollup: MicroRollup, journal: Journal) -> None:
    """Enter the genesis state into a journal as one action: every entry is new, settled ones in tree order."""
    places: list[tuple[int, bytes, int, bytes]] = []
    for index, (name, field) in enumerate(rollup.state_fields):
        value = getattr(rollup.genesis, name)
        for key, entry in value.items() if field.is_map else [(None, value)]:
            field.check(entry)
            encoded = field.encode_key(key)
            journal.fields[index][encoded] = Change(key, ABSENT, entry, field.encode_leaf(entry))
            if field.settled:
                places.append((field.number, compute_tree_key(field.number, encoded), index, encoded))
    journal.order.extend((index, encoded) for _, _, index, encoded in sorted(places))


def compute_changes(
    rollup: MicroRollup, journal: Journal, state: ChainState, lanes: bytes, tree: FlatTree, keys: KeyIndex
) -> StateChanges:
    """Turn a block's journal into what changes in tree, set hash and rows. Changes nothing itself."""
    leaves: dict[bytes, bytes] = {}
    fields = rollup.state_type.fields
    for index, encoded in journal.order:
        entry = journal.fields[index][encoded]
        value_hash = EMPTY_HASH if entry.after is ABSENT else keccak256(entry.leaf)
        leaves[compute_tree_key(fields[index].number, encoded)] = value_hash
    rows: list[tuple[bytes, bytes | None]] = []
    undo: dict[bytes, bytes | None] = {}
    removed: list[_Entry] = []
    added: list[_Entry] = []
    for field, touched in zip(fields, journal.fields, strict=True):
        prefix, encode = field.row_prefix, field.encode_row
        for encoded, change in touched.items():
            before, after = change.before, change.after
            if before is after or before == after:
                continue
            row_key = prefix + encoded
            undo[row_key] = None if before is ABSENT else encode(before)
            rows.append((row_key, None if after is ABSENT else encode(after)))
            if not field.settled:
                if before is not ABSENT:
                    removed.append((field.number, encoded, field.encode_leaf(before)))
                if after is not ABSENT:
                    added.append((field.number, encoded, change.leaf))
    for sender, before in journal.nonces.items():
        row_key, nonce = _PREFIX + sender, state.nonces[sender].to_bytes(8, "big")
        undo[row_key] = old = before.to_bytes(8, "big") if before else None
        rows.append((row_key, nonce))
        if old is not None:
            removed.append((NONCES.number, sender, old))
        added.append((NONCES.number, sender, nonce))
    rows.sort()
    return StateChanges(
        delta=tree.compute_delta(leaves, keys),
        lanes=update_lanes(lanes, removed, added) if removed or added else lanes,
        rows=rows,
        undo_rows=undo,
        sizes=_compute_sizes(rollup, state),
    )


def _compute_sizes(rollup: MicroRollup, state: ChainState) -> tuple[int, ...]:
    sizes = [len(getattr(state.app, name)) if field.is_map else 1 for name, field in rollup.state_fields]
    return (*sizes, len(state.nonces))


def compute_closing(
    opened: Open,
    records: list[bytes],
    receipts: list[Receipt],
    changes: StateChanges,
    parent: Checkpoint,
    rollup_id: bytes,
    forced: tuple[int, bytes],
) -> Closing:
    """The header of a block that was executed to its end; `forced` is forced count and queue hash after it."""
    items = [encode_canonical(receipt) for receipt in receipts]
    header = Header(
        rollup_id=rollup_id,
        height=opened.height,
        parent_hash=parent.block_hash,
        timestamp=opened.timestamp,
        stf_id=opened.stf_id,
        l1_origin=opened.l1_origin,
        forced_count=forced[0],
        forced_hash=forced[1],
        first_seq=parent.next_seq,
        action_count=len(records),
        actions_root=compute_items_root(records),
        receipts_root=compute_items_root(items),
        state_root=changes.delta.root,
        metadata_root=compute_metadata_root(changes.lanes),
    )
    return Closing(header, items, [receipt.action_hash for receipt in receipts], changes)


def put_changes(txn: Transaction, tables: Tables, changes: StateChanges) -> None:
    """Write state rows and the new keys of the tree."""
    cursor = txn.cursor(tables["state"])
    cursor.putmulti([(key, value) for key, value in changes.rows if value is not None])
    for key, value in changes.rows:
        if value is None:
            txn.delete(key, db=tables["state"])
    inserted = sorted([(key, encode_leaf_index(leaf_index)) for key, leaf_index in changes.delta.inserted])
    txn.cursor(tables["tree"]).putmulti(inserted)


def put_closing(txn: Transaction, tables: Tables, closing: Closing) -> None:
    """Write everything derived from a block: header apart, its state rows, tree keys, receipts, index and undo."""
    header, changes, height = closing.header, closing.changes, encode_number(closing.header.height)
    put_changes(txn, tables, changes)
    numbers = range(header.first_seq, header.first_seq + header.action_count)
    receipts = zip([encode_number(seq) for seq in numbers], closing.receipts, strict=True)
    txn.cursor(tables["receipts"]).putmulti(list(receipts), append=True)
    places = [
        (make_index_key(seq, action_hash), encode_place(seq, header.height))
        for seq, action_hash in zip(numbers, closing.action_hashes, strict=True)
    ]
    txn.cursor(tables["index"]).putmulti(sorted(places))
    txn.put(height, encode_row_undo(changes.undo_rows), db=tables["undo_rows"])
    txn.put(height, encode_delta(changes.delta), db=tables["undo_tree"])
