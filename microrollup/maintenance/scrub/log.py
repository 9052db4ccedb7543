"""Checks of the log, and of what only points into it: openings, the meta table, settled heights."""

from __future__ import annotations

from typing import Final

from blake3 import blake3

from microrollup.chain.envelope_record import decode_envelope_record, is_envelope_record
from microrollup.chain.record import Close, Genesis, Open, Rebuild
from microrollup.chain.upgrade_entry import decode_upgrade, is_upgrade_record
from microrollup.declaration.manifest import compute_stf_id, decode_manifest
from microrollup.errors import DecodeError
from microrollup.execution.entry import decode_forced, decode_kernel_record, is_forced_record, is_signed_record
from microrollup.ledger.code import MANIFEST_PREFIX
from microrollup.maintenance.scrub.scan import LogFacts, Scan, show
from microrollup.store.environment import BASE_KEY, COMPLETE_FORMAT, FORMAT, encode_number
from microrollup.store.row_check import unpack_row
from microrollup.store.tables import (
    CHAIN_BYTES,
    CHECKPOINT_KEY,
    LOG_START_KEY,
    REBUILD_KEY,
    REWINDING_KEY,
    SYNCED_KEY,
    decode_checkpoint,
    decode_log_start,
    get_log_start,
)

__all__ = ["check_log", "check_meta", "check_openings", "check_settled"]

_FORMAT_KEY: Final = b"format"
_NUMBERS: Final = (_FORMAT_KEY, SYNCED_KEY, REWINDING_KEY)


def check_meta(scan: Scan) -> None:
    """Every key is known, and what it holds decodes."""
    for key, raw in scan.iterate("meta"):
        name = bytes(key).decode(errors="backslashreplace")
        try:
            if key in _NUMBERS:
                if len(raw) != 8:
                    scan.find("meta", name, f"{len(raw)} bytes, not 8")
            elif key == BASE_KEY:
                continue
            elif key == CHECKPOINT_KEY:
                decode_checkpoint(raw)
            elif key == LOG_START_KEY:
                decode_log_start(raw)
            elif key == REBUILD_KEY:
                if not isinstance(decode_kernel_record(raw), Rebuild):
                    scan.find("meta", name, "no rebuild record")
            elif key.startswith(MANIFEST_PREFIX):
                if compute_stf_id(decode_manifest(raw)) != key[len(MANIFEST_PREFIX) :]:
                    scan.find("meta", name, "does not hash to its stfId")
            else:
                scan.find("meta", name, "nothing of that name belongs here")
        except DecodeError as error:
            scan.find("meta", name, error.reason)
    if scan.get_number(_FORMAT_KEY) not in range(COMPLETE_FORMAT, FORMAT + 1):
        scan.find("meta", "format", f"is not {FORMAT}")
    synced = scan.get_number(SYNCED_KEY)
    if synced is None or (synced > scan.checkpoint.height and scan.get_number(REWINDING_KEY) is None):
        scan.find("meta", "tree_synced", "missing, or beyond the newest block")
    _ = scan.base  # raises what is wrong with it


def check_log(scan: Scan) -> None:
    """Numbers without gaps, each record linked to the one before and in its canonical form."""
    start = get_log_start(scan.txn, scan.tables)
    facts = LogFacts({}, {}, None, 0, scan.rollup.oldest)
    chain, total = scan.rollup_id, scan.environment.count("log")
    chains = {chain}
    number = 0
    for count, (key, row) in enumerate(scan.iterate("log"), 1):
        scan.report("log", count, total)
        found = int.from_bytes(key, "big")
        if len(key) != 8:
            scan.find("log", show(key), "its key is not a record number")
            continue
        if start is not None and number == 1:
            number, chains = start.number, {start.chain}
        if found != number:
            scan.find("log", number, f"missing, up to {found - 1}")
            chains = set()
        record = bytes(row[CHAIN_BYTES:])
        linked = {blake3(before + record).digest() for before in chains}
        if chains and row[:CHAIN_BYTES] not in linked:
            scan.find("log", found, "the record does not fit the chain: its bytes or its link are damaged")
        # The next record may fit either what is here or what should be: so one flipped bit is named once.
        chains = {row[:CHAIN_BYTES], *linked}
        _note_record(scan, facts, found, record)
        number = found + 1
    facts.length = number
    if facts.rebuild != scan.get("meta", REBUILD_KEY):
        scan.find("meta", "rebuild", "is not the log's newest rebuild record")
    scan.log = facts


def _note_record(scan: Scan, facts: LogFacts, number: int, record: bytes) -> None:
    """Decode a record strictly, and keep what other tables say about it."""
    try:
        kernel = decode_kernel_record(record)
        if kernel is None:
            if is_forced_record(record):
                decode_forced(record)
            elif is_envelope_record(record):
                decode_envelope_record(record)
            elif is_upgrade_record(record):
                decode_upgrade(record)
            elif is_signed_record(record):
                facts.version.action_types.decode_record(record)
    except DecodeError as error:
        scan.find("log", number, f"{error.what}: {error.reason}")
        return
    if isinstance(kernel, Genesis) != (number == 0):
        scan.find("log", number, "the genesis is record 0, and no other is")
    match kernel:
        case Open():
            facts.openings[kernel.height] = number
            facts.version = scan.rollup.find_version(kernel.stf_id) or facts.version
        case Close():
            facts.ends[kernel.height] = number, blake3(record).digest()
        case Rebuild():
            facts.rebuild = record
        case _:
            pass


def check_openings(scan: Scan) -> None:
    """One row for each block that the log opens, with the number of that record."""
    if scan.log is None:
        scan.skip("openings: the log was not checked by the same process")
        return
    seen = set()
    for key, raw in scan.iterate("openings"):
        height = int.from_bytes(key, "big")
        seen.add(height)
        expected = scan.log.openings.get(height)
        if len(key) != 8 or expected is None:
            scan.find("openings", show(key), "the log opens no block of that height")
        elif raw != encode_number(expected):
            scan.find("openings", height, f"is not {expected}, the record that opens the block")
    for height in sorted(scan.log.openings.keys() - seen):
        scan.find("openings", height, "missing")


def check_settled(scan: Scan) -> None:
    """Heights that exist, each with a time that does not go back."""
    last = 0
    for key, raw in scan.iterate("settled"):
        try:
            height, time = int.from_bytes(key, "big"), int.from_bytes(unpack_row(key, raw), "big")
        except DecodeError as error:
            scan.find("settled", show(key), error.reason)
            continue
        if len(key) != 8 or len(raw) != 16 or height > scan.checkpoint.height or time < last:
            scan.find("settled", show(key), "no height of a block, or a time before that of the height below")
        last = time
