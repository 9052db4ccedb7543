"""Checks of what blocks say of the log: headers, seals, receipts, and the index of action hashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
from blake3 import blake3

from microrollup.chain.block import EMPTY_SEAL, compute_block_hash, compute_genesis_header, recover_sealer
from microrollup.chain.envelope_record import is_envelope_record, may_still_come
from microrollup.chain.receipt import INVALID_FORCED, Receipt
from microrollup.chain.record import Close, Open, decode_genesis, encode_record
from microrollup.codec.canonical import decode_canonical
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.errors import DecodeError, StoreCorrupt
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.payload import find_carried_envelope, find_carried_record
from microrollup.maintenance.scrub.scan import Scan, show
from microrollup.store.action_index import encode_place, make_index_key
from microrollup.store.environment import encode_number
from microrollup.store.row_check import pack_row
from microrollup.store.tables import BlockRow, decode_block_row, get_block_row, get_receipt, get_record

__all__ = ["check_blocks", "check_index", "check_receipts"]

_MAX_RECEIPT_BYTES: Final = 1 << 20
_RECEIPT_DECODER: Final = msgspec.msgpack.Decoder(Receipt)


def _iterate_blocks(scan: Scan) -> Iterator[BlockRow]:
    """All rows that decode and are at their height."""
    for key, raw in scan.iterate("blocks"):
        try:
            row = decode_block_row(raw)
        except DecodeError:
            continue
        if key == encode_number(row.header.height):
            yield row


def check_blocks(scan: Scan) -> None:
    """Heights without gaps up to the checkpoint's, each header naming the one before, sealed as the log says."""
    tip, lowest = scan.checkpoint, scan.start[0]
    total = scan.environment.count("blocks")
    expected, before = 0, b""
    for count, (key, raw) in enumerate(scan.iterate("blocks"), 1):
        scan.report("blocks", count, total)
        height = int.from_bytes(key, "big")
        if lowest and expected == 1:
            expected, before = lowest, b""
        if height != expected or len(key) != 8:
            scan.find("blocks", show(key) if height < expected else expected, "a height is missing or out of place")
            before = b""
        expected = height + 1
        try:
            row = decode_block_row(raw)
        except DecodeError as error:
            scan.find("blocks", height, error.reason)
            before = b""
            continue
        _check_row(scan, height, row)
        if before and row.header.parent_hash != before:
            scan.find("blocks", height, f"does not name block {height - 1} as its parent: one of the two is damaged")
        before = compute_block_hash(row.header)
    if expected <= tip.height:
        scan.find("blocks", expected, f"missing: the checkpoint is at {tip.height}")
    elif expected > tip.height + 1:
        scan.find("meta", "checkpoint", f"is at {tip.height}, the newest block at {expected - 1}")
    elif before and before != tip.block_hash:
        scan.find("blocks", tip.height, "its hash is not the checkpoint's: one of the two is damaged")


def _check_row(scan: Scan, height: int, row: BlockRow) -> None:
    """A block by itself, and against the records of the log."""
    header = row.header
    opened = Open(header.height, header.timestamp, header.l1_origin, header.stf_id)
    if (header.rollup_id, header.height, row.open) != (scan.rollup_id, height, opened):
        scan.find("blocks", height, "rollup, height or opening are not those of its header")
    if height == 0:
        record = get_record(scan.txn, scan.tables, 0) or b""
        try:
            genesis_header = compute_genesis_header(decode_genesis(record))
        except DecodeError:
            return
        if row != BlockRow(genesis_header, opened, None, 1):
            scan.find("blocks", 0, "is not the block of the genesis record")
        return
    if row.seal is None:
        scan.find("blocks", height, "has no seal")
        return
    if scan.is_based:
        if row.seal != EMPTY_SEAL:
            scan.find("blocks", height, "has a seal, and the rollup is based")
    elif recover_sealer(compute_block_hash(header), row.seal) is None:
        scan.find("blocks", height, "its seal is not a valid signature")
    if scan.log is None:
        scan.skip(f"blocks/{height}: the log was not checked by the same process")
        return
    number, end = scan.log.ends.get(height, (0, b""))
    if end != blake3(encode_record(Close(height, row.seal))).digest():
        scan.find("blocks", height, "its seal is not the one with which the log closes it")
    restored = height == scan.start[0]
    first = number - header.action_count if restored else scan.log.openings.get(height, -1) + 1
    if row.first_record != first:
        scan.find("blocks", height, f"its entries begin at record {first}, not at {row.first_record}")


def check_receipts(scan: Scan) -> None:
    """Entries and receipts of each block hash to its header's roots; every receipt is in the index."""
    total, count = scan.environment.count("receipts"), 0
    end = 0
    for row in _iterate_blocks(scan):
        header = row.header
        end = header.first_seq + header.action_count
        if header.height <= scan.start[0]:
            continue
        numbers = range(row.first_record, row.first_record + header.action_count)
        records = [get_record(scan.txn, scan.tables, number) for number in numbers]
        known = [record for record in records if record is not None]
        if len(known) != len(records) or compute_items_root(known) != header.actions_root:
            scan.find("log", row.first_record, f"the entries of block {header.height} do not hash to its actions root")
        receipts = []
        for seq in range(header.first_seq, end):
            try:
                raw = get_receipt(scan.txn, scan.tables, seq)
            except StoreCorrupt as error:
                scan.find("receipts", seq, error.reason)
                continue
            if raw is None:
                scan.find("receipts", seq, "missing")
                continue
            receipts.append(raw)
            _check_receipt(scan, seq, header.height, raw, records[seq - header.first_seq] or b"")
            count += 1
            scan.report("receipts", count, total)
        if len(receipts) == header.action_count and compute_items_root(receipts) != header.receipts_root:
            scan.find("receipts", header.first_seq, f"those of block {header.height} do not hash to its receipts root")
    if count != total:
        cursor = scan.txn.cursor(scan.tables["receipts"])
        where = show(bytes(cursor.key())) if cursor.set_range(encode_number(end)) else None
        scan.find("receipts", where, f"{total} rows where the blocks have {count} entries")


def _check_receipt(scan: Scan, seq: int, height: int, raw: bytes, record: bytes) -> None:
    try:
        receipt = decode_canonical(_RECEIPT_DECODER, raw, what="receipt", limit=_MAX_RECEIPT_BYTES)
    except DecodeError as error:
        scan.find("receipts", seq, error.reason)
        return
    if receipt.seq != seq:
        scan.find("receipts", seq, f"is that of seq {receipt.seq}")
    if "index" in scan.unreadable or may_still_come(record, receipt.status):
        return
    key = make_index_key(seq, receipt.action_hash)
    found = scan.get("index", key)
    if found != pack_row(key, encode_place(seq, height)) and not (
        is_envelope_record(record) and _came_before(scan, key, seq, receipt)
    ):
        where = f"0x{receipt.action_hash.hex()}"
        scan.find("index", where, f"the action of seq {seq} in block {height} is not found here")


def _came_before(scan: Scan, key: bytes, seq: int, receipt: Receipt) -> bool:
    """Whether the index leads to an earlier entry of an envelope's identity, which was carried or handed in."""
    place = scan.get("index", key)
    before, height = (0, 0) if place is None else (int.from_bytes(place[:8], "big"), int.from_bytes(place[8:16], "big"))
    if place is None or before >= seq:
        return False
    try:
        raw, row = get_receipt(scan.txn, scan.tables, before), get_block_row(scan.txn, scan.tables, height)
        if raw is None or row is None:
            return False
        record = get_record(scan.txn, scan.tables, row.first_record + before - row.header.first_seq) or b""
        earlier = _RECEIPT_DECODER.decode(raw)
        return earlier.action_hash == receipt.action_hash or (
            is_forced_record(record) and find_carried_envelope(decode_forced(record), earlier.status) is not None
        )
    except (StoreCorrupt, DecodeError, msgspec.MsgspecError, UnicodeDecodeError):
        return False


def check_index(scan: Scan) -> None:
    """Every action hash leads to a receipt that names it, or to an entry that carried an action of that hash.

    Without the app's types that hash cannot be computed: each such entry has one row more, no other has.
    """
    carrying = _find_carrying(scan)
    more: Counter[int] = Counter()
    total = scan.environment.count("index")
    for count, (key, place) in enumerate(scan.iterate("index"), 1):
        scan.report("index", count, total)
        seq = int.from_bytes(place[:8], "big")
        try:
            raw = get_receipt(scan.txn, scan.tables, seq)
            found = None if raw is None else make_index_key(seq, _RECEIPT_DECODER.decode(raw).action_hash)
        except (StoreCorrupt, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if found == key:
            continue
        more[seq] += 1
        if seq not in carrying or found is None or key[:4] != found[:4]:
            scan.find("index", show(key), f"the receipt of seq {seq} is of another action")
    for seq, is_envelope in sorted(carrying.items()):
        if more[seq] != 1 and not (is_envelope and more[seq] == 0):  # it may have executed before, handed in
            scan.find("index", None, f"the signed action that seq {seq} carried has {more[seq]} rows, not one")


def _find_carrying(scan: Scan) -> dict[int, bool]:
    """The sequence numbers of all entries of the queue that carried a signed action and took its nonce, or an envelope
    that executed, and whether it was an envelope.
    """
    found: dict[int, bool] = {}
    taken = 0
    for row in _iterate_blocks(scan):
        header = row.header
        count, taken = header.forced_count - taken, header.forced_count
        if header.height <= scan.start[0]:
            continue
        for position in range(header.action_count):  # the block's own entry and what carriers bring is between them
            if count <= 0:
                break
            record = get_record(scan.txn, scan.tables, row.first_record + position) or b""
            if not is_forced_record(record):
                continue
            count -= 1
            try:
                raw = get_receipt(scan.txn, scan.tables, header.first_seq + position)
                status = INVALID_FORCED if raw is None else _RECEIPT_DECODER.decode(raw).status
                forced = decode_forced(record)
                is_envelope = find_carried_envelope(forced, status) is not None
                if is_envelope or find_carried_record(forced, status):
                    found[header.first_seq + position] = is_envelope
            except (StoreCorrupt, DecodeError, msgspec.MsgspecError, UnicodeDecodeError):
                continue
    return found
