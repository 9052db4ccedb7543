"""All closed blocks of a store in one file, or the signed actions and envelopes of its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from microrollup.chain.block import Block, compute_rollup_id
from microrollup.chain.envelope_record import decode_envelope_record, encode_envelope_record, is_envelope_record
from microrollup.chain.export import write_blocks
from microrollup.chain.receipt import INVALID_FORCED
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.record import Open
from microrollup.codec.json import hex0x
from microrollup.declaration.action import ActionTypes
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.errors import UsageError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import decode_forced, decode_kernel_record, is_forced_record, is_signed_record
from microrollup.execution.payload import find_carried_envelope, find_carried_record
from microrollup.ledger.code import get_code_at
from microrollup.ledger.genesis import read_genesis
from microrollup.primitives import MAX_ACTION_BYTES
from microrollup.store.environment import Environment
from microrollup.store.log_pages import read_log_pages
from microrollup.store.tables import get_block_row, get_log_start, get_receipt
from microrollup.system import write_whole
from microrollup.verifier.source import StoreSource

__all__ = ["ExportedBlocks", "export_actions", "export_blocks"]


class ExportedBlocks(msgspec.Struct, frozen=True):
    """What a file of blocks holds."""

    count: int
    """Blocks."""
    rollup_id: bytes


def export_blocks(
    directory: Path,
    rollup: MicroRollup,
    out: Path | BinaryIO,
    *,
    first_height: int = 1,
    on_progress: OnProgress = ignore_progress,
) -> ExportedBlocks:
    """Write the genesis record and every closed block from a height on; a file is replaced once it is whole.

    The store's writer may go on. `on_progress` is told the blocks written so far, and how many there will be. Raises
    `StoreError`s, `NotRetained` for a store that was restored from a snapshot above `first_height`.
    """
    with open_readable(directory, rollup):
        pass
    with StoreSource(directory) as source:
        total = source.read_tip() - first_height + 1

        def read() -> Iterator[Block]:
            for count, block in enumerate(source.read_blocks(first_height), 1):
                yield block
                on_progress(count, total)

        count = write_blocks(out, source.genesis, read(), source.read_manifests())
        return ExportedBlocks(count, compute_rollup_id(source.genesis))


def export_actions(directory: Path, rollup: MicroRollup, out: Path | BinaryIO, *, after: int | None = None) -> int:
    """Write signed actions and envelopes of the log as JSON Lines, by default all, else those after a block; how many.

    Each line states its sender: imported under another domain it is refused. Those that somebody carried through the
    inbox's queue are among them, and so is the block that is still open, but for what was carried into it; L1 accounts'
    own actions are not. A file is replaced once it is whole. Raises
    `NotRetained` if the store does not go back so far, `UsageError` for a block that does not exist.
    """
    count = 0
    with open_readable(directory, rollup) as environment, write_whole(out) as file:
        domain = read_genesis(environment).domain
        authenticators = {version: Authenticator.of(version, domain) for version in rollup.versions}
        for version, record in _read_actions(environment, rollup, after):
            file.write(_write_line(version.action_types, authenticators[version], record) + b"\n")
            count += 1
    return count


def _write_line(types: ActionTypes, authenticator: Authenticator, record: bytes) -> bytes:
    """A record as a line; a signed action's states its sender, unless it would get too long to be taken again."""
    if is_envelope_record(record):
        envelope = decode_envelope_record(record)
        return msgspec.json.encode({"envelope": envelope.name, "raw": hex0x(envelope.raw)})
    document = types.to_json(types.decode_record(record))
    sender = hex0x(authenticator.authenticate_signed(record).sender)
    line = msgspec.json.encode({**document, "sender": sender})
    return line if len(line) <= MAX_ACTION_BYTES else msgspec.json.encode(document)


def _read_actions(
    environment: Environment, rollup: MicroRollup, after: int | None
) -> Iterator[tuple[MicroRollup, bytes]]:
    """The records of signed actions and envelopes after a block, by default all that the log holds, each with the
    version that was in force.

    Raises `NotRetained` if a store that was restored from a snapshot does not go back so far, `UsageError` for a block
    that does not exist.
    """
    tables, rollup_id = environment.tables, compute_rollup_id(read_genesis(environment))
    environment.refresh()
    first, seq, skipped, version = 0, 0, 0, rollup.oldest
    with environment.snapshot() as txn:
        restored = get_log_start(txn, tables)
        if restored is not None and after in (None, restored.height):
            first = restored.number
            row = get_block_row(txn, tables, restored.height)
            seq = 0 if row is None else row.header.first_seq + row.header.action_count
        elif after:
            row = get_block_row(txn, tables, after)
            if row is None:
                raise UsageError(f"there is no block {after} yet")
            first, seq, skipped = row.first_record, row.header.first_seq, row.header.action_count
            version = get_code_at(environment, txn, rollup, after)
    for _, record in read_log_pages(environment, rollup_id, first):
        kernel = decode_kernel_record(record)
        if isinstance(kernel, Open):
            version = rollup.find_version(kernel.stf_id) or version
        if kernel is not None:
            continue
        seq += 1
        if skipped:
            skipped -= 1
        elif is_signed_record(record):
            yield version, record
        elif is_forced_record(record):
            forced, status = decode_forced(record), _read_status(environment, seq - 1)
            carried, envelope = find_carried_record(forced, status), find_carried_envelope(forced, status)
            if carried is not None:
                yield version, carried
            elif envelope is not None:
                yield version, encode_envelope_record(*envelope)


def _read_status(environment: Environment, seq: int) -> int:
    """The status of a closed block's entry; that of an invalid one while its block is open."""
    with environment.snapshot() as txn:
        raw = get_receipt(txn, environment.tables, seq)
    return INVALID_FORCED if raw is None else decode_receipt(raw).status
