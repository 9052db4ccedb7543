"""`microrollup log`: the records of the action log in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from microrollup.authentication import Authenticator
from microrollup.block import compute_rollup_id
from microrollup.cli.directory import open_readable
from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.codec.schema import to_camel_case
from microrollup.entry import decode_forced, decode_kernel_record, is_forced_record
from microrollup.errors import RefusedError
from microrollup.genesis import read_genesis
from microrollup.receipt import STATUS_NAMES, Receipt
from microrollup.record import Genesis
from microrollup.rollup import MicroRollup, load_rollup
from microrollup.store.environment import Environment, Transaction
from microrollup.store.tables import get_block_row, get_checkpoint, get_log_start, get_receipt, iterate_log

__all__ = ["log_command"]

DEFAULT_LIMIT: Final = 100

_RECEIPT_DECODER: Final = msgspec.msgpack.Decoder(Receipt)
_COLUMNS: Final = ("record", "kind", "seq", "type", "sender", "nonce", "status")


@click.command("log", cls=Command)
@app_argument
@data_option()
@click.option("--from", "first", type=click.IntRange(0), default=0, metavar="N", help="First record [default: 0].")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="Records to show.",
)
@json_option
def log_command(app: str, directory: Path, first: int, limit: int, output: Output) -> None:
    """Show the records of the action log in words.

    Every record is checked against the chain of hashes. A status is known once the action's block is closed.
    """
    rollup = load_rollup(app)
    with open_readable(directory, rollup) as environment, environment.snapshot() as txn:
        records = list(_read_records(environment, txn, rollup, first, limit))
    table = make_table(*_COLUMNS)
    for record in records:
        table.add_row(*[_show(record, column) for column in _COLUMNS])
    shown = f"records {records[0]['record']} to {records[-1]['record']}" if records else "no records there"
    output.show({"records": records}, table, "", shown)


def _show(record: dict[str, Any], column: str) -> str:
    if column == "type" and "height" in record:
        return f"block {record['height']}"
    value = record.get(column)
    return "" if value is None else str(value)


def _read_records(
    environment: Environment, txn: Transaction, rollup: MicroRollup, first: int, limit: int
) -> Iterator[dict[str, Any]]:
    genesis = read_genesis(environment)
    authenticator = Authenticator(rollup.action_types, genesis.domain)
    start, seq = _find_start(environment, txn, first)
    first = max(first, start) if get_log_start(txn, environment.tables) else first
    rollup_id = compute_rollup_id(genesis)
    for number, record in iterate_log(txn, environment.tables, rollup_id, start):
        if number >= first + limit:
            return
        kernel = decode_kernel_record(record)
        if number >= first:
            if kernel is not None:
                yield {"record": number, **_describe_kernel_record(kernel)}
            else:
                status = _read_status(environment, txn, seq)
                yield {"record": number, **_describe_entry(rollup, authenticator, record), "seq": seq, **status}
        seq += kernel is None


def _find_start(environment: Environment, txn: Transaction, first: int) -> tuple[int, int]:
    """The newest closed block's first entry at or before a record, with its seq; else where the log begins.

    The log of a restored store begins with the record that closes the snapshot's height.
    """
    low, high = 0, get_checkpoint(txn, environment.tables).height
    start, seq = 0, 0
    restored = get_log_start(txn, environment.tables)
    if restored is not None:
        low, start = restored.height + 1, restored.number
        row = get_block_row(txn, environment.tables, restored.height)
        seq = 0 if row is None else row.header.first_seq + row.header.action_count
    while low <= high:
        height = (low + high) // 2
        row = get_block_row(txn, environment.tables, height)
        if row is None or row.first_record > first:
            high = height - 1
        else:
            start, seq = row.first_record, row.header.first_seq
            low = height + 1
    return start, seq


def _describe_kernel_record(record: msgspec.Struct) -> dict[str, Any]:
    kind = type(record).__name__.lower()
    if isinstance(record, Genesis):
        return {"kind": kind, "name": record.name, "rollupId": hex0x(compute_rollup_id(record))}
    members = {to_camel_case(name): value for name, value in msgspec.structs.asdict(record).items() if name != "seal"}
    shown = {name: hex0x(value) if isinstance(value, bytes) else value for name, value in members.items()}
    return {"kind": kind, **shown}


def _describe_entry(rollup: MicroRollup, authenticator: Authenticator, record: bytes) -> dict[str, Any]:
    if is_forced_record(record):
        forced = decode_forced(record)
        return {"kind": "forced", "type": None, "sender": hex0x(forced.sender), "nonce": None, "index": forced.index}
    decoded = rollup.action_types.decode_record(record)
    try:
        sender = hex0x(authenticator.authenticate_record(record).sender)
    except RefusedError as error:
        sender = f"({error.code})"
    described = rollup.action_types.to_json(decoded)
    return {"kind": "action", "sender": sender, "nonce": decoded.nonce, **described}


def _read_status(environment: Environment, txn: Transaction, seq: int) -> dict[str, Any]:
    raw = get_receipt(txn, environment.tables, seq)
    if raw is None:
        return {"status": None}
    receipt = _RECEIPT_DECODER.decode(raw)
    reason = {"reason": receipt.reason} if receipt.reason else {}
    return {"status": STATUS_NAMES[receipt.status], **reason}
