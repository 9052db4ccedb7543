"""Writing the snapshot of a closed height, newest or older, while the owner of the store goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from microrollup.chain.block import compute_block_hash, compute_rollup_id
from microrollup.chain.record import Close, encode_record
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.ledger.genesis import check_genesis, read_genesis
from microrollup.ledger.reading import require_retained
from microrollup.maintenance.snapshot.file import OnSnapshotProgress, SnapshotHead, SnapshotWriter, ignore_progress
from microrollup.store.environment import Environment, Tables, Transaction, encode_number
from microrollup.store.keys_at import iterate_tree_rows
from microrollup.store.row_check import unpack_row
from microrollup.store.rows_at import RowsAt
from microrollup.store.stored_keys import decode_leaf_index
from microrollup.store.tables import (
    CHAIN_BYTES,
    REBUILD_KEY,
    BlockRow,
    Checkpoint,
    decode_checkpoint,
    get_block_row,
    get_chain,
    get_checkpoint,
    get_log_start,
    read_records,
)

__all__ = ["SnapshotInfo", "find_end", "write_snapshot"]

_KEY_BYTES = 32
_ROWS_BETWEEN_REPORTS = 5_000


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A snapshot that was written."""

    id: str
    """blake3 of the file, in hex: the same for the same content, wherever it was written."""
    height: int
    block_hash: bytes
    state_root: bytes
    leaf_count: int
    """Leaves of the tree, deleted keys and the dummy included."""
    row_count: int
    """State entries, nonces included."""
    file_bytes: int


def write_snapshot(
    environment: Environment,
    rollup: MicroRollup,
    path: Path,
    height: int | None = None,
    on_progress: OnSnapshotProgress = ignore_progress,
) -> SnapshotInfo:
    """Write the snapshot of a closed height (the newest by default) to `path`, replacing it once the file is whole.

    The owner may go on writing; the environment may be read-only. Memory: 32 bytes per leaf, and for an older height
    the rows that changed since. Raises `UsageError` for a height that never was, `NotRetained`, `StoreCorrupt`,
    `WrongRollup`, and `CommitFailed`.
    """
    genesis = read_genesis(environment)
    check_genesis(rollup, genesis)
    with environment.snapshot() as txn:
        tables = environment.tables
        tip = get_checkpoint(txn, tables)
        height = tip.height if height is None else height
        require_retained(txn, environment, height, tip.height)
        checkpoint = tip if height == tip.height else _get_checkpoint_at(txn, tables, height)
        row = get_block_row(txn, tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        last_record, chain = find_end(txn, tables, row, compute_rollup_id(genesis))
        head = SnapshotHead(
            genesis, row.header, row.open, row.seal, checkpoint.leaf_count, checkpoint.sizes, last_record, chain
        )
        total, done = checkpoint.leaf_count - 1 + sum(checkpoint.sizes), checkpoint.leaf_count - 1
        with SnapshotWriter(path, head) as writer:
            writer.write_keys(memoryview(_collect_keys(txn, tables, tip.height, checkpoint.leaf_count)))
            on_progress(done, total)
            for key, value in RowsAt(txn, tables, height).iterate():
                writer.write_row(key, value)
                done += 1
                if done % _ROWS_BETWEEN_REPORTS == 0:
                    on_progress(done, total)
            if done != total:
                raise StoreCorrupt("state", f"{done} rows and keys where the checkpoint counts {total}; see `scrub`")
            on_progress(done, total)
            snapshot_id = writer.finish()
    return SnapshotInfo(
        id=snapshot_id,
        height=height,
        block_hash=compute_block_hash(row.header),
        state_root=row.header.state_root,
        leaf_count=checkpoint.leaf_count,
        row_count=sum(checkpoint.sizes),
        file_bytes=writer.file_bytes,
    )


def _get_checkpoint_at(txn: Transaction, tables: Tables, height: int) -> Checkpoint:
    """The checkpoint of a height below the newest: what the next block's undo goes back to."""
    raw = txn.get(encode_number(height + 1), db=tables["undo_checkpoint"])
    if raw is None:
        raise StoreCorrupt(f"undo_checkpoint/{height + 1}", "missing")
    checkpoint = decode_checkpoint(bytes(raw))
    if checkpoint.height != height:
        raise StoreCorrupt(f"undo_checkpoint/{height + 1}", f"is of height {checkpoint.height}")
    return checkpoint


def find_end(txn: Transaction, tables: Tables, row: BlockRow, rollup_id: bytes) -> tuple[int, bytes]:
    """The number of the record that ends a height, and the chain before it.

    That is the `Close` after the block's entries, or, where the block was built again, the last one of the height.
    """
    if row.seal is None:
        return 0, rollup_id
    wanted = encode_record(Close(row.header.height, row.seal))
    first = row.first_record + row.header.action_count
    rebuilt = txn.get(REBUILD_KEY, db=tables["meta"]) is not None
    found: int | None = None
    cursor = txn.cursor(tables["log"])
    if cursor.set_range(encode_number(first)):
        for key, record in cursor:
            if bytes(record[CHAIN_BYTES:]) == wanted:
                found = int.from_bytes(key, "big")
            if not rebuilt:
                break
    if found is None:
        raise StoreCorrupt(f"log/{first}", f"the record that closes block {row.header.height} is missing")
    start = get_log_start(txn, tables)
    if start is not None and start.number == found:
        return found, start.chain
    read_records(txn, tables, rollup_id, found, 1)
    return found, get_chain(txn, tables, found - 1, rollup_id)


def _unpack(key: bytes, raw: bytes) -> bytes:
    try:
        return unpack_row(key, raw)
    except DecodeError as error:
        raise StoreCorrupt(f"tree/0x{key.hex()}", error.reason) from None


def _collect_keys(txn: Transaction, tables: Tables, tip: int, leaf_count: int) -> bytearray:
    """The tree keys in the order of their leaves, from leaf 1 on."""
    keys = bytearray(_KEY_BYTES * (leaf_count - 1))
    count = 0
    for key, raw in iterate_tree_rows(txn, tables, tip):
        leaf_index = decode_leaf_index(_unpack(key, raw))
        if not 0 < leaf_index or len(key) != _KEY_BYTES:
            raise StoreCorrupt(f"tree/0x{key.hex()}", "no key of a leaf")
        if leaf_index < leaf_count:
            keys[_KEY_BYTES * (leaf_index - 1) : _KEY_BYTES * leaf_index] = key
            count += 1
    if count != leaf_count - 1:
        raise StoreCorrupt("tree", f"{count} keys for {leaf_count} leaves")
    return keys
