"""Bringing derived data back in line with the log: flat files after a crash, blocks taken back by a rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from microrollup.chain.block import Header
from microrollup.chain.receipt import Receipt
from microrollup.chain.record import Close, Genesis, Open, Rebuild, encode_record
from microrollup.errors import NotRetained, StoreCorrupt, StoreError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import compute_carried_id, decode_forced, decode_kernel_record, is_forced_record
from microrollup.store.action_index import make_index_key
from microrollup.store.environment import Environment, Tables, Transaction, encode_number
from microrollup.store.retention import get_lowest_height, read_settled
from microrollup.store.row_changes import decode_row_changes
from microrollup.store.row_check import unpack_row
from microrollup.store.tables import (
    REBUILD_KEY,
    REWINDING_KEY,
    SYNCED_KEY,
    Checkpoint,
    append_records,
    decode_checkpoint,
    get_base,
    get_block_row,
    get_log_length,
    get_log_start,
    get_receipt,
    get_record,
    iterate_log,
    put_checkpoint,
    read_records,
)
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import DeltaView

__all__ = [
    "LoggedBlock",
    "find_rounds",
    "open_tree",
    "read_logged_block",
    "read_number",
    "require_rebuildable",
    "take_blocks_back",
]

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
        _check_inserted(environment, tree, checkpoint.height)
    except BaseException:
        tree.close()
        raise
    return tree


def _check_inserted(environment: Environment, tree: FlatTree, tip: int) -> None:
    """Raise `StoreCorrupt` unless the keys that the `tree` table lacks are those of their leaves, for they never move.

    Deltas below the last sync are not applied again, so nothing else looks at their keys.
    """
    for height in range(get_base(environment.reader, environment.tables) + 1, tip + 1):
        delta = _read_delta(environment, height)
        first, end = delta.leaf_count_before, delta.leaf_count
        keys = np.ascontiguousarray(tree.leaf_rows[first:end, 2:34]).view("S32").reshape(-1)
        if end > tree.leaf_count or (keys != delta.get_inserted_keys()).any():
            raise StoreCorrupt(f"undo_tree/{height}", "its new keys are not those of the leaves")


def _read_delta(environment: Environment, height: int) -> DeltaView:
    raw = environment.get("undo_tree", encode_number(height))
    if raw is None:
        raise StoreCorrupt(f"undo_tree/{height}", "missing")
    return DeltaView(raw)


def _iterate_deltas(environment: Environment, first: int, last: int) -> Iterator[DeltaView]:
    return (_read_delta(environment, height) for height in range(first, last + 1))


class LoggedBlock(msgspec.Struct, frozen=True):
    """A block as the log has it, whose derived data is not there (any more)."""

    open: Open
    first_record: int
    records: list[bytes]
    closed: bool
    """A `Close` followed the entries: the block is being rebuilt."""


def read_logged_block(environment: Environment, rollup_id: bytes, height: int) -> LoggedBlock | None:
    """The block at a height that the log has opened; None if it has not.

    Every record is checked against the chain, because forced ones bear no signature. Raises `StoreCorrupt`.
    """
    raw = environment.get("openings", encode_number(height))
    if raw is None:
        _check_closed(environment, rollup_id, height)
        return None
    number = int.from_bytes(raw, "big")
    log = iterate_log(environment.reader, environment.tables, rollup_id, number)
    opened = decode_kernel_record(next(log, (number, b""))[1])
    if not isinstance(opened, Open) or opened.height != height:
        raise StoreCorrupt(f"log/{number}", f"is not the opening of block {height}")
    records: list[bytes] = []
    for _, record in log:
        if decode_kernel_record(record) is not None:
            _require_rebuild(environment)
            return LoggedBlock(opened, number + 1, records, closed=True)
        records.append(record)
    return LoggedBlock(opened, number + 1, records, closed=False)


def _check_closed(environment: Environment, rollup_id: bytes, height: int) -> None:
    """Raise `StoreCorrupt` if the log goes on after the last closed block, although no opening of `height` is known."""
    number = get_log_length(environment.reader, environment.tables) - 1
    (record,) = read_records(environment.reader, environment.tables, rollup_id, number, 1)
    last = decode_kernel_record(record)
    if not isinstance(last, Genesis if height == 1 else Close):
        raise StoreCorrupt(f"openings/{height}", "missing, although the log goes on")


def find_rounds(environment: Environment, rollup_id: bytes, first_record: int) -> dict[int, int]:
    """The round of the next seal of each height that the log closes from a record on: one above its last seal's.

    A store that took over from another builder's holds that builder's rounds, so they are not counted but read.
    Raises `StoreCorrupt`.
    """
    rounds: dict[int, int] = {}
    for _, raw in iterate_log(environment.reader, environment.tables, rollup_id, first_record):
        record = decode_kernel_record(raw)
        if isinstance(record, Close):
            rounds[record.height] = record.seal.round + 1
    return rounds


def _require_rebuild(environment: Environment) -> None:
    raw = environment.get("meta", REBUILD_KEY)
    rebuild = None if raw is None else decode_kernel_record(raw)
    if not isinstance(rebuild, Rebuild):
        raise StoreCorrupt("meta/rebuild", "missing, although a closed block is to be executed again")


def require_rebuildable(environment: Environment, height: int, tip: int) -> None:
    """Raise `StoreError` unless a height is closed (at most `tip`) and above what is settled.

    Raises `NotRetained` for a height that a snapshot brought, or whose old rows are gone.
    """
    txn, tables = environment.reader, environment.tables
    settled = environment.cursor("settled")
    lowest = read_settled(settled)[0] + 1 if settled.last() else 1
    start = get_log_start(txn, tables)
    if start is not None and height <= start.height:
        raise NotRetained(f"block {height} cannot be built again: the store was restored at height {start.height}")
    if not lowest <= height <= tip:
        raise StoreError(f"a rebuild begins at a closed height from {lowest} to {tip}")
    kept = get_lowest_height(txn, tables, tip)
    if height <= kept:
        raise NotRetained(f"block {height} cannot be taken back any more, the lowest that can is {kept + 1}")


def take_blocks_back(
    environment: Environment,
    tree: FlatTree,
    rebuild: Rebuild,
    tip: int,
    log_length: int,
    chain: bytes,
    find_authenticator: Callable[[Header], Authenticator],
    *,
    forget: bool = False,
) -> None:
    """Append a `Rebuild` record and undo the blocks from its height up to `tip`, in one transaction; then the files.
    If the log is to `forget` the blocks, their records go instead, and no `Rebuild` is appended.

    `find_authenticator` gives that of the code by which a block was executed, whose header it takes.
    All rows must be written out before, or it raises `StoreError`. A crash in between is mended by `open_tree`. The log
    keeps everything; only what is derived goes.
    """
    tables, height = environment.tables, rebuild.height
    with environment.write() as txn:
        if (base := get_base(txn, tables)) != tip:
            raise StoreError(f"rows above height {base} are not written out: nothing can be taken back from {tip}")
        raw = encode_record(rebuild)
        if not forget:
            append_records(txn, tables, log_length, chain, [raw])
            txn.put(REBUILD_KEY, raw, db=tables["meta"])
        for number in range(tip, height - 1, -1):
            _take_block_back(txn, tables, number, find_authenticator)
        if forget:
            _forget_records(txn, tables, height, tip, log_length)
        txn.put(REWINDING_KEY, encode_number(tip), db=tables["meta"])
    finish_rewinding(environment, tree, height - 1, tip)


def _forget_records(txn: Transaction, tables: Tables, height: int, tip: int, log_length: int) -> None:
    opening = txn.get(encode_number(height), db=tables["openings"])
    if opening is None:
        raise StoreCorrupt(f"openings/{height}", "missing")
    for number in range(int.from_bytes(opening, "big"), log_length):
        txn.delete(encode_number(number), db=tables["log"])
    for number in range(height, tip + 1):
        txn.delete(encode_number(number), db=tables["openings"])


def _take_block_back(
    txn: Transaction, tables: Tables, height: int, find_authenticator: Callable[[Header], Authenticator]
) -> None:
    key = encode_number(height)
    rows, before = txn.get(key, db=tables["changes"]), txn.get(key, db=tables["undo_checkpoint"])
    delta, block = txn.get(key, db=tables["undo_tree"]), get_block_row(txn, tables, height)
    if rows is None or before is None or delta is None or block is None:
        raise StoreCorrupt(f"changes/{height}", "the block cannot be taken back: what it changed is missing")
    checkpoint = decode_checkpoint(bytes(before))
    if checkpoint.height != height - 1:
        raise StoreCorrupt(f"undo_checkpoint/{height}", f"is of height {checkpoint.height}")
    for change in decode_row_changes(height, rows):
        if change.old is not None:
            unpack_row(change.key, change.old)
        if change.old is None:
            txn.delete(change.key, db=tables["state"])
        else:
            txn.put(change.key, change.old, db=tables["state"])
    for tree_key, _ in DeltaView(delta).get_inserted():
        txn.delete(tree_key, db=tables["tree"])
    header = block.header
    for seq in range(header.first_seq, header.first_seq + header.action_count):
        raw = get_receipt(txn, tables, seq)
        if raw is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        receipt = _RECEIPT_DECODER.decode(raw)
        txn.delete(encode_number(seq), db=tables["receipts"])
        _forget_place(txn, tables, seq, receipt.action_hash)
        record = get_record(txn, tables, block.first_record + seq - header.first_seq) or b""
        if is_forced_record(record):
            carried = compute_carried_id(
                header.rollup_id, decode_forced(record), receipt.status, find_authenticator(header)
            )
            if carried is not None:
                _forget_place(txn, tables, seq, carried)
    for table in ("blocks", "changes", "undo_checkpoint"):
        txn.delete(key, db=tables[table])
    put_checkpoint(txn, tables, checkpoint)


def _forget_place(txn: Transaction, tables: Tables, seq: int, action_hash: bytes) -> None:
    """Delete the row of an entry; it may be that of an envelope which executed before."""
    key = make_index_key(seq, action_hash)
    row = txn.get(key, db=tables["index"])
    if row is not None and bytes(row[:8]) == encode_number(seq):
        txn.delete(key, db=tables["index"])


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
