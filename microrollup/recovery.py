"""Bringing derived data back in line with the log: flat files after a crash, blocks taken back by a rebuild."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from microrollup.entry import decode_kernel_record
from microrollup.errors import StoreCorrupt
from microrollup.receipt import Receipt
from microrollup.record import Open, Rebuild, encode_record
from microrollup.store.action_index import make_index_key
from microrollup.store.environment import Environment, Tables, Transaction, encode_number
from microrollup.store.tables import (
    CHECKPOINT_KEY,
    REBUILD_KEY,
    REWINDING_KEY,
    SYNCED_KEY,
    Checkpoint,
    append_records,
    get_block_row,
    iterate_log,
)
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import DeltaView
from microrollup.store.undo import decode_row_undo

__all__ = ["LoggedBlock", "open_tree", "read_logged_block", "read_number", "take_blocks_back"]

_RECEIPT_DECODER = msgspec.msgpack.Decoder(Receipt)


def read_number(environment: Environment, key: bytes) -> int | None:
    """A number of the `meta` table."""
    raw = environment.get("meta", key)
    return None if raw is None else int.from_bytes(raw, "big")


def open_tree(environment: Environment, checkpoint: Checkpoint, state_root: bytes | None) -> FlatTree:
    """Open the flat files and bring them to the checkpoint, whatever a crash left of them.

    Deltas since the last sync are done again; an unfinished rewinding is finished. If the root is still not the
    header's, all nodes are hashed again from the leaves. Raises `StoreCorrupt` if that does not help either. A root of
    None is not compared: the header is known to be wrong.
    """
    rewinding = read_number(environment, REWINDING_KEY)
    tip = checkpoint.height if rewinding is None else rewinding
    synced = min(read_number(environment, SYNCED_KEY) or 0, tip)
    views = list(_iterate_deltas(environment, synced + 1, tip))
    if views:
        leaf_count = views[0].leaf_count_before
    elif rewinding is None:
        leaf_count = checkpoint.leaf_count
    else:
        leaf_count = _read_delta(environment, tip).leaf_count
    tree = FlatTree(environment.directory, leaf_count)
    try:
        tree.redo(views)
        if rewinding is not None:
            finish_rewinding(environment, tree, checkpoint.height, rewinding)
        if state_root is not None and tree.root() != state_root:
            tree.rehash()
            if tree.root() != state_root:
                raise StoreCorrupt(
                    "leaves", "the leaves do not hash to the header's state root; `replay` rebuilds them"
                )
            tree.sync()
    except BaseException:
        tree.close()
        raise
    return tree


def _read_delta(environment: Environment, height: int) -> DeltaView:
    raw = environment.get("undo_tree", encode_number(height))
    if raw is None:
        raise StoreCorrupt(f"undo_tree/{height}", "missing")
    return DeltaView(raw)


def _iterate_deltas(environment: Environment, first: int, last: int) -> Iterator[DeltaView]:
    return (_read_delta(environment, height) for height in range(first, last + 1))


class LoggedBlock(msgspec.Struct, frozen=True):
    """A block as the log has it, whose derived data are not there (any more)."""

    open: Open
    first_record: int
    records: list[bytes]
    closed: bool
    """A `Close` followed the entries: the block is being rebuilt, under the newest rebuild's code."""


def read_logged_block(environment: Environment, rollup_id: bytes, height: int) -> LoggedBlock | None:
    """The block at a height that the log has opened; None if it has not.

    Every record is checked against the chain, because forced ones bear no signature. Raises `StoreCorrupt`.
    """
    raw = environment.get("openings", encode_number(height))
    if raw is None:
        return None
    number = int.from_bytes(raw, "big")
    log = iterate_log(environment.reader, environment.tables, rollup_id, number)
    opened = decode_kernel_record(next(log, (number, b""))[1])
    if not isinstance(opened, Open) or opened.height != height:
        raise StoreCorrupt(f"log/{number}", f"is not the opening of block {height}")
    records: list[bytes] = []
    for _, record in log:
        if decode_kernel_record(record) is not None:
            opened = msgspec.structs.replace(opened, stf_id=_read_rebuild(environment).stf_id)
            return LoggedBlock(opened, number + 1, records, closed=True)
        records.append(record)
    return LoggedBlock(opened, number + 1, records, closed=False)


def _read_rebuild(environment: Environment) -> Rebuild:
    raw = environment.get("meta", REBUILD_KEY)
    rebuild = None if raw is None else decode_kernel_record(raw)
    if not isinstance(rebuild, Rebuild):
        raise StoreCorrupt("meta/rebuild", "missing, although a closed block is to be executed again")
    return rebuild


def take_blocks_back(
    environment: Environment, tree: FlatTree, rebuild: Rebuild, tip: int, log_length: int, chain: bytes
) -> None:
    """Append a `Rebuild` record and undo the blocks from its height up to `tip`, in one transaction; then the files.

    A crash in between is mended by `open_tree`. The log keeps everything; only what is derived goes.
    """
    tables, height = environment.tables, rebuild.height
    with environment.write() as txn:
        raw = encode_record(rebuild)
        append_records(txn, tables, log_length, chain, [raw])
        txn.put(REBUILD_KEY, raw, db=tables["meta"])
        for number in range(tip, height - 1, -1):
            _take_block_back(txn, tables, number)
        txn.put(REWINDING_KEY, encode_number(tip), db=tables["meta"])
    finish_rewinding(environment, tree, height - 1, tip)


def _take_block_back(txn: Transaction, tables: Tables, height: int) -> None:
    key = encode_number(height)
    rows, before = txn.get(key, db=tables["undo_rows"]), txn.get(key, db=tables["undo_checkpoint"])
    delta, block = txn.get(key, db=tables["undo_tree"]), get_block_row(txn, tables, height)
    if rows is None or before is None or delta is None or block is None:
        raise StoreCorrupt(f"undo_rows/{height}", "the block cannot be taken back: its undo is missing")
    for row_key, old in decode_row_undo(rows):
        if old is None:
            txn.delete(row_key, db=tables["state"])
        else:
            txn.put(row_key, old, db=tables["state"])
    for tree_key, _ in DeltaView(delta).get_inserted():
        txn.delete(tree_key, db=tables["tree"])
    for seq in range(block.header.first_seq, block.header.first_seq + block.header.action_count):
        receipt = txn.pop(encode_number(seq), db=tables["receipts"])
        if receipt is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        txn.delete(make_index_key(seq, _RECEIPT_DECODER.decode(receipt).action_hash), db=tables["index"])
    for table in ("blocks", "undo_rows", "undo_checkpoint"):
        txn.delete(key, db=tables[table])
    txn.put(CHECKPOINT_KEY, before, db=tables["meta"])


def finish_rewinding(environment: Environment, tree: FlatTree, height: int, tip: int) -> None:
    """Rewind the flat files from `tip` to `height`, make them durable, and forget the deltas between."""
    tree.rewind(_read_delta(environment, number) for number in range(tip, height, -1))
    tree.sync()
    tables = environment.tables
    with environment.write() as txn:
        for number in range(height + 1, tip + 1):
            txn.delete(encode_number(number), db=tables["undo_tree"])
        txn.put(SYNCED_KEY, encode_number(height), db=tables["meta"])
        txn.delete(REWINDING_KEY, db=tables["meta"])
