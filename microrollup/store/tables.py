"""The rows of a store's tables, and the log's chained records.

    log         record number -> chain(32) || record; chain_n = blake3(chain_{n-1} || record_n), chain_{-1} = rollup id
    openings    height -> record number of its `Open`; never taken back, so that a rebuild finds the entries
    blocks      height -> `BlockRow`
    receipts    seq -> canonical receipt
    state       row prefix(2) || encoded key -> canonical msgpack of the value (nonces: 8 bytes)
    tree        tree key -> leaf index
    index       bucket(4) || action hash -> seq(8) || height(8); see `microrollup.store.action_index`
    changes     height -> state rows before and after the block; see `microrollup.store.row_changes`
    undo_tree   height -> what the block changed in the tree; undo_checkpoint: the checkpoint before it
    settled     height -> L1 time (seconds) at which it settled
    meta        format, checkpoint (of the newest closed block, the tip), base (height up to which `state` and `tree`
                are complete; each of their rows is as some height from there to the tip left it), tree_synced (height
                of the flat files on disk), rewinding (old tip, while a rebuild takes blocks back), rebuild (the newest
                `Rebuild` record), log_start (restored stores only)

Numbers are 8 bytes, big-endian. Block rows, checkpoints and log_start are stored as `row || blake3(row)[:8]`; base and
rows of `receipts`, `state`, `tree`, `index` and `settled` with a check of key and value, see
`microrollup.store.row_check`. Records are checked against the chain.
Everything but `log`, `openings` and `settled` can be derived from the log; not so in a store that was restored from a
snapshot, whose log lacks what lies between the genesis and the snapshot's height.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Final

import msgspec
from blake3 import blake3

from microrollup.chain.block import Block, Header, compute_block_hash
from microrollup.chain.carrier import drop_carried
from microrollup.chain.record import Open, Seal
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.blake import make_hasher
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.errors import DecodeError, NotRetained, StoreCorrupt
from microrollup.primitives import Bytes32, Uint64
from microrollup.store.action_index import LogPlace, find_action
from microrollup.store.environment import BASE_KEY, Tables, Transaction, encode_number
from microrollup.store.row_check import find_row, pack_row, unpack_row

__all__ = [
    "CHECKPOINT_KEY",
    "LOG_START_KEY",
    "REBUILD_KEY",
    "REWINDING_KEY",
    "SYNCED_KEY",
    "BlockRow",
    "Checkpoint",
    "LogStart",
    "append_records",
    "check_log_end",
    "decode_block_row",
    "decode_checkpoint",
    "decode_log_start",
    "encode_row",
    "find_place",
    "get_base",
    "get_block",
    "get_block_records",
    "get_block_row",
    "get_chain",
    "get_checkpoint",
    "get_log_length",
    "get_log_start",
    "get_receipt",
    "get_receipts",
    "get_record",
    "get_stamp",
    "iterate_log",
    "make_checkpoint",
    "put_base",
    "put_checkpoint",
    "put_tip",
    "read_records",
    "require_not_before_start",
]

CHAIN_BYTES: Final = 32
_CHECK_BYTES: Final = 8
_NUMBER_BYTES: Final = 8
MAX_ROW_BYTES: Final = 1 << 20

CHECKPOINT_KEY: Final = b"checkpoint"
LOG_START_KEY: Final = b"log_start"
REBUILD_KEY: Final = b"rebuild"
REWINDING_KEY: Final = b"rewinding"
SYNCED_KEY: Final = b"tree_synced"


class Checkpoint(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How far derived data is: exactly after the block of this height. Small enough to be kept per block."""

    height: Uint64
    block_hash: Bytes32
    next_seq: Uint64
    forced_count: Uint64
    forced_hash: Bytes32
    leaf_count: Uint64
    sizes: tuple[Uint64, ...]
    """Entries of each state field (1 for a scalar), in declared order, then of the nonces."""
    lanes: Annotated[bytes, msgspec.Meta(min_length=2048, max_length=2048)]
    """The LtHash of metadata and nonces."""


class BlockRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A closed block but for its entries, which are in the log from `first_record` on."""

    header: Header
    open: Open
    seal: Seal | None
    """None for genesis only."""
    first_record: Uint64


class LogStart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a restored store's records begin again after the genesis: with the `Close` of the snapshot's height."""

    height: Uint64
    number: Uint64
    """The `Close`'s record number."""
    chain: Bytes32
    """The chain's value before it, as the snapshot says: no header commits to the chain."""


_BLOCK_DECODER: Final = msgspec.msgpack.Decoder(BlockRow)
_CHECKPOINT_DECODER: Final = msgspec.msgpack.Decoder(Checkpoint)
_LOG_START_DECODER: Final = msgspec.msgpack.Decoder(LogStart)


def decode_checkpoint(raw: bytes) -> Checkpoint:
    """Raises `DecodeError`."""
    return decode_canonical(_CHECKPOINT_DECODER, _take_row(raw), what="checkpoint", limit=MAX_ROW_BYTES)


def decode_block_row(raw: bytes) -> BlockRow:
    """Raises `DecodeError`."""
    return decode_canonical(_BLOCK_DECODER, _take_row(raw), what="block", limit=MAX_ROW_BYTES)


def decode_log_start(raw: bytes) -> LogStart:
    """Raises `DecodeError`."""
    return decode_canonical(_LOG_START_DECODER, _take_row(raw), what="log start", limit=MAX_ROW_BYTES)


def _take_row(raw: bytes) -> bytes:
    row = raw[:-_CHECK_BYTES]
    if len(raw) < _CHECK_BYTES or blake3(row).digest(_CHECK_BYTES) != raw[-_CHECK_BYTES:]:
        raise DecodeError("row", "it does not have the bytes that were stored")
    return row


def make_checkpoint(header: Header, leaf_count: int, sizes: tuple[int, ...], lanes: bytes) -> Checkpoint:
    """The checkpoint after the block of a header."""
    return Checkpoint(
        height=header.height,
        block_hash=compute_block_hash(header),
        next_seq=header.first_seq + header.action_count,
        forced_count=header.forced_count,
        forced_hash=header.forced_hash,
        leaf_count=leaf_count,
        sizes=sizes,
        lanes=lanes,
    )


def get_log_start(txn: Transaction, tables: Tables) -> LogStart | None:
    """Where a restored store's records begin; None for one that has its whole log. Raises `StoreCorrupt`."""
    raw = txn.get(LOG_START_KEY, db=tables["meta"])
    if raw is None:
        return None
    try:
        return decode_log_start(bytes(raw))
    except DecodeError as error:
        raise StoreCorrupt("meta/log_start", error.reason) from None


def require_not_before_start(txn: Transaction, tables: Tables, height: int) -> None:
    """Raises `NotRetained` for a height that a restored store never had."""
    start = get_log_start(txn, tables)
    if start is not None and 0 < height < start.height:
        raise NotRetained(f"height {height} is not here: the store was restored at height {start.height}")


def get_checkpoint(txn: Transaction, tables: Tables) -> Checkpoint:
    """How far derived data is. Raises `StoreCorrupt`."""
    raw = txn.get(CHECKPOINT_KEY, db=tables["meta"])
    if raw is None:
        raise StoreCorrupt("meta/checkpoint", "missing")
    try:
        return decode_checkpoint(bytes(raw))
    except DecodeError as error:
        raise StoreCorrupt("meta/checkpoint", error.reason) from None


def get_base(txn: Transaction, tables: Tables, tip: int | None = None) -> int:
    """The height up to which `state` and `tree` are complete. `tip`: that of the checkpoint, if it is known.

    Raises `StoreCorrupt`.
    """
    raw = bytes(txn.get(BASE_KEY, b"", db=tables["meta"]))
    try:
        base = raw if len(raw) == _NUMBER_BYTES else unpack_row(BASE_KEY, raw)
    except DecodeError:
        raise StoreCorrupt("meta/base", "missing or damaged") from None
    height = int.from_bytes(base, "big")
    tip = get_checkpoint(txn, tables).height if tip is None else tip
    if height > tip or (len(raw) == _NUMBER_BYTES and height != tip):  # without a check: of the format before
        raise StoreCorrupt("meta/base", f"is {height}, where the newest block is {tip}")
    return height


def put_checkpoint(txn: Transaction, tables: Tables, checkpoint: Checkpoint) -> None:
    """Note the newest closed block, whose rows `state` and `tree` hold."""
    put_tip(txn, tables, checkpoint)
    put_base(txn, tables, checkpoint.height)


def put_tip(txn: Transaction, tables: Tables, checkpoint: Checkpoint) -> None:
    """Note the newest closed block, whose rows are still to be written to `state` and `tree`."""
    txn.put(CHECKPOINT_KEY, encode_row(checkpoint), db=tables["meta"])


def put_base(txn: Transaction, tables: Tables, height: int) -> None:
    """Note that `state` and `tree` hold all rows up to a height."""
    txn.put(BASE_KEY, pack_row(BASE_KEY, encode_number(height)), db=tables["meta"])


def get_block_row(txn: Transaction, tables: Tables, height: int) -> BlockRow | None:
    """Header, opening and seal of a closed block; None above the newest. Raises `StoreCorrupt`, `NotRetained`."""
    raw = txn.get(encode_number(height), db=tables["blocks"])
    if raw is None:
        require_not_before_start(txn, tables, height)
        if height <= get_checkpoint(txn, tables).height:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return None
    try:
        row = decode_block_row(bytes(raw))
    except DecodeError as error:
        raise StoreCorrupt(f"blocks/{height}", error.reason) from None
    if row.header.height != height:
        raise StoreCorrupt(f"blocks/{height}", f"holds block {row.header.height}")
    return row


def get_stamp(txn: Transaction, tables: Tables, height: int) -> bytes:
    """Tells a closed block and those before it from others that were there before a rebuild. Empty without blocks."""
    raw = txn.get(encode_number(height), b"", db=tables["blocks"]) if "blocks" in tables else b""
    return bytes(raw[-_CHECK_BYTES:])


def get_receipt(txn: Transaction, tables: Tables, seq: int) -> bytes | None:
    """The canonical receipt of an entry, once its block is closed; None if there is none. Raises `StoreCorrupt`."""
    try:
        return find_row(txn.cursor(tables["receipts"]), encode_number(seq))
    except DecodeError as error:
        raise StoreCorrupt(f"receipts/{seq}", error.reason) from None


def get_receipts(txn: Transaction, tables: Tables, header: Header) -> list[bytes]:
    """The canonical receipts of a closed block. Raises `StoreCorrupt`, also if they are not those of the header."""
    receipts = []
    for seq in range(header.first_seq, header.first_seq + header.action_count):
        receipt = get_receipt(txn, tables, seq)
        if receipt is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        receipts.append(receipt)
    if compute_items_root(receipts) != header.receipts_root:
        raise StoreCorrupt(f"receipts/{header.first_seq}", f"those of block {header.height} are not its header's")
    return receipts


def find_place(txn: Transaction, tables: Tables, action_hash: bytes, next_seq: int) -> LogPlace | None:
    """Where an action is in the log, by its hash, among those below `next_seq`. Raises `StoreCorrupt`."""
    cursor = txn.cursor(tables["index"])
    try:
        return find_action(partial(find_row, cursor), action_hash, next_seq)
    except DecodeError as error:
        raise StoreCorrupt(f"index/0x{action_hash.hex()}", error.reason) from None


def get_record(txn: Transaction, tables: Tables, number: int) -> bytes | None:
    """One record of the log, its link of the chain not checked."""
    raw = txn.get(encode_number(number), db=tables["log"])
    return None if raw is None else bytes(raw[CHAIN_BYTES:])


def get_chain(txn: Transaction, tables: Tables, number: int, rollup_id: bytes) -> bytes:
    """The chain's value at a record; the rollup id before the first one. Raises `StoreCorrupt`."""
    if number < 0:
        return rollup_id
    raw = txn.get(encode_number(number), db=tables["log"])
    if raw is None or len(raw) < CHAIN_BYTES:
        raise StoreCorrupt(f"log/{number}", "missing or too short")
    return bytes(raw[:CHAIN_BYTES])


def get_log_length(txn: Transaction, tables: Tables) -> int:
    """The number of the next record."""
    cursor = txn.cursor(tables["log"])
    return int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 0


def check_log_end(txn: Transaction, tables: Tables, length: int, chain: bytes) -> None:
    """Raise `StoreCorrupt` unless the log has so many records and ends with this value of the chain.

    A damaged page may show a writer the store as it was some commits ago.
    """
    cursor = txn.cursor(tables["log"])
    if not cursor.last() or bytes(cursor.key()) != encode_number(length - 1) or cursor.value()[:CHAIN_BYTES] != chain:
        raise StoreCorrupt(f"log/{length - 1}", "is not the last record any more")


def append_records(txn: Transaction, tables: Tables, number: int, chain: bytes, records: list[bytes]) -> bytes:
    """Append records from `number` on, after `chain`; the chain's new value."""
    rows: list[tuple[bytes, bytes]] = []
    link = make_hasher(CHAIN_BYTES)
    for record in records:
        chain = link(chain + record)
        rows.append((number.to_bytes(8, "big"), chain + record))
        number += 1
    cursor = txn.cursor(tables["log"])
    consumed, added = cursor.putmulti(rows, append=True, overwrite=False)
    if added != len(rows):
        raise StoreCorrupt(f"log/{number - len(rows) + consumed}", "the log holds records after its end")
    return chain


def iterate_log(
    txn: Transaction, tables: Tables, rollup_id: bytes, first: int = 0, count: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Records with their numbers, each checked against the chain.

    Raises `StoreCorrupt` naming the damaged one, and `NotRetained` for those that a restored store never had.
    """
    start = get_log_start(txn, tables)
    if start is not None and first == start.number:
        chain = start.chain
    else:
        _require_record(start, first)
        chain = get_chain(txn, tables, first - 1, rollup_id)
    number = first
    cursor = txn.cursor(tables["log"])
    if cursor.set_range(encode_number(first)):
        for key, row in cursor:
            if count is not None and number >= first + count:
                return
            record = bytes(row[CHAIN_BYTES:])
            linked = blake3(chain + record).digest()
            if bytes(key) != encode_number(number) or row[:CHAIN_BYTES] != linked:
                _require_record(start, number)
                raise StoreCorrupt(f"log/{number}", "the record does not fit the chain")
            yield number, record
            chain, number = linked, number + 1
    if count is not None and number != first + count:
        raise StoreCorrupt(f"log/{number}", "missing")


def _require_record(start: LogStart | None, number: int) -> None:
    if start is not None and 0 < number < start.number:
        raise NotRetained(
            f"record {number} is not here: the store was restored at height {start.height}, its records begin with"
            f" number {start.number}"
        )


def read_records(txn: Transaction, tables: Tables, rollup_id: bytes, first: int, count: int) -> tuple[bytes, ...]:
    """`count` records from `first` on, each checked against the chain. Raises `StoreCorrupt`, `NotRetained`."""
    return tuple([record for _, record in iterate_log(txn, tables, rollup_id, first, count)])


def get_block(txn: Transaction, tables: Tables, rollup_id: bytes, height: int) -> Block | None:
    """A closed block above genesis as it travels. Raises `StoreCorrupt`, and `NotRetained` in a restored store."""
    row = get_block_row(txn, tables, height)
    if row is None or row.seal is None:
        return None

    def read_receipt(place: int) -> bytes:
        return get_receipt(txn, tables, row.header.first_seq + place) or b""

    records = get_block_records(txn, tables, rollup_id, row)
    try:
        return Block(row.header, row.open, drop_carried(records, read_receipt), row.seal)
    except DecodeError as error:
        raise StoreCorrupt(f"blocks/{height}", error.reason) from None


def get_block_records(txn: Transaction, tables: Tables, rollup_id: bytes, row: BlockRow) -> tuple[bytes, ...]:
    """The records of all entries of a closed block, also of those that came in carriers. Raises as `read_records`."""
    return read_records(txn, tables, rollup_id, row.first_record, row.header.action_count)


def encode_row(row: BlockRow | Checkpoint | LogStart) -> bytes:
    """The stored form of a row, its check included."""
    raw = encode_canonical(row)
    return raw + blake3(raw).digest(_CHECK_BYTES)
