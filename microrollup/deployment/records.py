"""The records of the action log in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.envelope_record import decode_envelope_record, encode_envelope_record, is_envelope_record
from microrollup.chain.receipt import INVALID_FORCED, STATUS_NAMES, Receipt
from microrollup.chain.record import Genesis, Open
from microrollup.chain.upgrade_entry import decode_upgrade, is_upgrade_record
from microrollup.codec.json import hex0x
from microrollup.codec.schema import to_camel_case
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.errors import RefusedError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import decode_forced, decode_kernel_record, is_forced_record
from microrollup.execution.envelope import describe_enveloped
from microrollup.execution.payload import find_carried_record, find_opened_envelope
from microrollup.ledger.code import get_code_at
from microrollup.ledger.genesis import read_genesis
from microrollup.store.environment import Environment, Transaction
from microrollup.store.log_pages import read_log_pages
from microrollup.store.tables import get_block_row, get_checkpoint, get_log_start, get_receipt

__all__ = ["read_records"]

_RECEIPT_DECODER: Final = msgspec.msgpack.Decoder(Receipt)


def read_records(directory: Path, rollup: MicroRollup, first: int, limit: int) -> list[dict[str, Any]]:
    """At most `limit` records from number `first` on, described for programs; the store's writer may go on.

    Every record is checked against the chain of hashes. Raises `StoreError`s.
    """
    with open_readable(directory, rollup) as environment:
        return list(_read_records(environment, rollup, first, limit))


def _read_records(environment: Environment, rollup: MicroRollup, first: int, limit: int) -> Iterator[dict[str, Any]]:
    genesis = read_genesis(environment)
    environment.refresh()
    with environment.snapshot() as txn:
        start, seq, height = _find_start(environment, txn, first)
        version = rollup.oldest if height == 0 else get_code_at(environment, txn, rollup, height)
        first = max(first, start) if get_log_start(txn, environment.tables) else first
    for number, record in read_log_pages(environment, compute_rollup_id(genesis), start):
        if number >= first + limit:
            return
        kernel = decode_kernel_record(record)
        if isinstance(kernel, Open):
            version = rollup.find_version(kernel.stf_id) or version
        if number >= first:
            if kernel is not None:
                yield {"record": number, **_describe_kernel_record(kernel)}
            else:
                status = _read_status(environment, seq)
                authenticator = Authenticator.of(version, genesis.domain)
                described = _describe_entry(version, authenticator, record, status["status"])
                yield {"record": number, **described, "seq": seq, **status}
        seq += kernel is None


def _find_start(environment: Environment, txn: Transaction, first: int) -> tuple[int, int, int]:
    """The newest closed block's first entry at or before a record, with its seq and height; else where the log begins.

    The log of a restored store begins with the record that closes the snapshot's height.
    """
    low, high = 0, get_checkpoint(txn, environment.tables).height
    start, seq, found = 0, 0, 0
    restored = get_log_start(txn, environment.tables)
    if restored is not None:
        low, start, found = restored.height + 1, restored.number, restored.height
        row = get_block_row(txn, environment.tables, restored.height)
        seq = 0 if row is None else row.header.first_seq + row.header.action_count
    while low <= high:
        height = (low + high) // 2
        row = get_block_row(txn, environment.tables, height)
        if row is None or row.first_record > first:
            high = height - 1
        else:
            start, seq, found = row.first_record, row.header.first_seq, height
            low = height + 1
    return start, seq, found


def _describe_kernel_record(record: msgspec.Struct) -> dict[str, Any]:
    kind = type(record).__name__.lower()
    if isinstance(record, Genesis):
        return {"kind": kind, "name": record.name, "rollupId": hex0x(compute_rollup_id(record))}
    members = {to_camel_case(name): value for name, value in msgspec.structs.asdict(record).items() if name != "seal"}
    shown = {name: hex0x(value) if isinstance(value, bytes) else value for name, value in members.items()}
    return {"kind": kind, **shown}


def _describe_entry(
    rollup: MicroRollup, authenticator: Authenticator, record: bytes, status: str | None
) -> dict[str, Any]:
    """An entry, by the name of its status; None while its block is open, where what it carries is not shown."""
    if is_block_record(record):
        return {"kind": "block", "type": None, "sender": None, "nonce": None}
    if is_upgrade_record(record):
        step = decode_upgrade(record)
        ids = {"old": hex0x(step.old), "new": hex0x(step.new)}
        return {"kind": "upgrade", "type": None, "sender": None, "nonce": None, **ids}
    if is_forced_record(record):
        forced = decode_forced(record)
        number = INVALID_FORCED if status is None else STATUS_NAMES.index(status)
        carried = find_carried_record(forced, number)
        if carried is None and (envelope := find_opened_envelope(forced, number)) is not None:
            carried = encode_envelope_record(*envelope)
        if carried is not None:
            inner = _describe_entry(rollup, authenticator, carried, status)
            return {**inner, "kind": "forced", "index": forced.index, "l1Sender": hex0x(forced.sender)}
        return {"kind": "forced", "type": None, "sender": hex0x(forced.sender), "nonce": None, "index": forced.index}
    if is_envelope_record(record):
        return _describe_envelope(rollup, authenticator, record)
    decoded = rollup.action_types.decode_record(record)
    try:
        sender = hex0x(authenticator.authenticate_signed(record).sender)
    except RefusedError as error:
        sender = f"({error.code})"
    described = rollup.action_types.to_json(decoded)
    return {"kind": "action", "sender": sender, "nonce": decoded.nonce, **described}


def _describe_envelope(rollup: MicroRollup, authenticator: Authenticator, record: bytes) -> dict[str, Any]:
    decoded = decode_envelope_record(record)
    shown: dict[str, Any] = {"kind": "envelope", "envelope": decoded.name, "sender": None, "nonce": None}
    try:
        name, message = describe_enveloped(rollup, authenticator.open_record(record))
        shown |= {"type": name, "message": message}
    except RefusedError as error:
        shown |= {"type": f"({error.code})"}
    return {**shown, "raw": hex0x(decoded.raw)}


def _read_status(environment: Environment, seq: int) -> dict[str, Any]:
    with environment.snapshot() as txn:
        raw = get_receipt(txn, environment.tables, seq)
        if raw is None:
            return {"status": None}
        receipt = _RECEIPT_DECODER.decode(raw)
    reason = {"reason": receipt.reason} if receipt.reason else {}
    return {"status": STATUS_NAMES[receipt.status], **reason}
