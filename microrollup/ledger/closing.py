"""What a block changes, computed before anything is written: tree, set hash, rows, undo, and from them the header."""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import Final

import msgspec

from microrollup.chain.block import Header
from microrollup.chain.envelope_record import may_still_come
from microrollup.chain.receipt import Receipt
from microrollup.chain.record import Open
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256_many
from microrollup.crypto.lthash import compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import compute_tree_key, compute_tree_keys
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.declaration.map import ABSENT
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import NONCES
from microrollup.errors import CommitFailed, DecodeError, StoreCorrupt
from microrollup.execution.journal import Journal, KeyChange
from microrollup.execution.stf import ChainState
from microrollup.limits import require_memory
from microrollup.store.action_index import encode_place, make_index_key
from microrollup.store.environment import Tables, Transaction, encode_number
from microrollup.store.row_changes import RowChange, encode_row_changes
from microrollup.store.row_check import check_put, make_packer
from microrollup.store.stored_keys import encode_leaf_index
from microrollup.store.tables import Checkpoint
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import TreeDelta, encode_delta
from microrollup.store.tree_index import KeyIndex

__all__ = [
    "Closing",
    "StateChanges",
    "compute_changes",
    "compute_closing",
    "put_changes",
    "put_closing",
    "record_genesis",
]

CLOSING_BYTES: Final = 16 << 20
CLOSING_ROW_BYTES: Final = 512
"""What LMDB takes to write a block, beside its rows' bytes: pages of the B-trees, and per row one of the tree keys."""

_PREFIX: Final = NONCES.row_prefix
_Entry = tuple[int, bytes, bytes]


class StateChanges(msgspec.Struct, frozen=True):
    """The net changes of a block to everything that is kept of the state."""

    delta: TreeDelta
    lanes: bytes
    """The LtHash after the block, 2,048 bytes."""
    rows: list[RowChange]
    """State rows before and after the block, ascending by key."""
    sizes: tuple[int, ...]


class Closing(msgspec.Struct, frozen=True):
    """A block's header and all that `finish` will write."""

    header: Header
    receipts: list[bytes]
    places: list[tuple[int, bytes]]
    """Sequence number and action hash of each entry, but of an envelope only if it has executed; of a carried one also
    its identity as a signed action or as an envelope.
    """
    changes: StateChanges


def record_genesis(rollup: MicroRollup, journal: Journal) -> None:
    """Enter the genesis state into a journal as one action: every entry is new, settled ones in tree order."""
    places: list[tuple[int, bytes, int, bytes]] = []
    for index, field in enumerate(rollup.state_type.fields):
        value = field.read(rollup.genesis)
        for key, entry in value.items() if field.is_map else [(None, value)]:
            field.check(entry)
            encoded = field.encode_key(key)
            row = field.encode_row(entry)
            leaf = field.encode_leaf(entry)
            journal.fields[index][encoded] = KeyChange(field, encoded, key, ABSENT, entry, leaf, None, row)
            if field.settled:
                places.append((field.number, compute_tree_key(field.number, encoded), index, encoded))
    journal.order.extend((index, encoded) for _, _, index, encoded in sorted(places))


def compute_changes(
    rollup: MicroRollup, journal: Journal, state: ChainState, lanes: bytes, tree: FlatTree, keys: KeyIndex
) -> StateChanges:
    """Turn a block's journal into what changes in tree, set hash and rows. Changes nothing itself."""
    fields = rollup.state_type.fields
    entries = [journal.fields[index][encoded] for index, encoded in journal.order]
    value_hashes = keccak256_many([b"" if entry.after is ABSENT else entry.leaf for entry in entries])
    keys_of_tree = compute_tree_keys([(fields[index].number, encoded) for index, encoded in journal.order])
    leaves = dict(zip(keys_of_tree, value_hashes, strict=True))
    rows: list[RowChange] = []
    pack = make_packer()
    removed: list[_Entry] = []
    added: list[_Entry] = []
    for field, touched in zip(fields, journal.fields, strict=True):
        prefix = field.row_prefix
        for encoded, change in touched.items():
            old, new = change.row_before, change.row
            if old == new:
                continue
            row_key = prefix + encoded
            old = None if old is None else pack(row_key, old)
            rows.append(RowChange(row_key, old, None if new is None else pack(row_key, new)))
            if field.settled:
                continue
            if change.before is not ABSENT:
                removed.append((field.number, encoded, field.encode_leaf(change.before)))
            if change.after is not ABSENT:
                added.append((field.number, encoded, change.leaf))
    nonces = state.nonces
    for sender, before in journal.nonces.items():
        row_key, nonce = _PREFIX + sender, nonces.get(sender, 0).to_bytes(8, "big")
        known = before.to_bytes(8, "big") if before else None
        rows.append(RowChange(row_key, None if known is None else pack(row_key, known), pack(row_key, nonce)))
        if known is not None:
            removed.append((NONCES.number, sender, known))
        added.append((NONCES.number, sender, nonce))
    rows.sort(key=attrgetter("key"))
    return StateChanges(
        delta=tree.compute_delta(leaves, keys),
        lanes=update_lanes(lanes, removed, added) if removed or added else lanes,
        rows=rows,
        sizes=_compute_sizes(rollup, state),
    )


def _compute_sizes(rollup: MicroRollup, state: ChainState) -> tuple[int, ...]:
    sizes = [len(field.read(state.app)) if field.is_map else 1 for field in rollup.state_type.fields]
    return (*sizes, len(state.nonces))


def compute_closing(
    opened: Open,
    records: list[bytes],
    receipts: list[Receipt],
    changes: StateChanges,
    parent: Checkpoint,
    rollup_id: bytes,
    forced: tuple[int, bytes],
    carried: list[tuple[int, bytes]],
) -> Closing:
    """The header of a block that was executed to its end; `forced` is forced count and queue hash after it.

    `carried` has sequence number and signed identity of what was carried through the queue.
    """
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
    places = [
        (receipt.seq, receipt.action_hash)
        for record, receipt in zip(records, receipts, strict=True)
        if not may_still_come(record, receipt.status)
    ]
    return Closing(header, items, places + carried, changes)


def put_changes(txn: Transaction, tables: Tables, changes: StateChanges) -> None:
    """Write state rows and the new keys of the tree."""
    cursor, pack = txn.cursor(tables["state"]), make_packer()
    cursor.putmulti([(change.key, change.new) for change in changes.rows if change.new is not None])
    for change in changes.rows:
        if change.new is None:
            txn.delete(change.key, db=tables["state"])
    inserted = sorted([(key, pack(key, encode_leaf_index(leaf_index))) for key, leaf_index in changes.delta.inserted])
    txn.cursor(tables["tree"]).putmulti(inserted)


def put_closing(txn: Transaction, tables: Tables, closing: Closing) -> None:
    """Write everything derived from a block: header apart, what it changed, its receipts, index and undo.

    State rows and tree keys are written later, from what it changed. Raises `CommitFailed` if there is not enough
    memory: LMDB would end the process; `StoreCorrupt` where the index is damaged.
    """
    header, changes, height = closing.header, closing.changes, encode_number(closing.header.height)
    try:
        row_changes = encode_row_changes(header.height, changes.rows)
        require_memory(CLOSING_BYTES + 3 * len(row_changes) + CLOSING_ROW_BYTES * len(changes.rows))
    except MemoryError:
        raise CommitFailed(f"there is not enough memory to write block {header.height}") from None
    numbers = range(header.first_seq, header.first_seq + header.action_count)
    keys = [encode_number(seq) for seq in numbers]
    pack = make_packer()
    receipts = [(key, pack(key, receipt)) for key, receipt in zip(keys, closing.receipts, strict=True)]
    txn.cursor(tables["receipts"]).putmulti(receipts, append=True)
    places = [
        (key := make_index_key(seq, action_hash), pack(key, encode_place(seq, header.height)))
        for seq, action_hash in sorted(closing.places)
    ]
    places.sort(key=itemgetter(0))
    index = txn.cursor(tables["index"])
    index.putmulti(places, overwrite=False)  # what has executed first has the identity
    try:
        check_put(index, map(itemgetter(0), places))
    except DecodeError as error:
        raise StoreCorrupt(f"index of block {header.height}", error.reason) from None
    txn.put(height, row_changes, db=tables["changes"])
    txn.put(height, encode_delta(changes.delta), db=tables["undo_tree"])
