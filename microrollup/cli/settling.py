"""`microrollup settle`: hand attested batches to the settlement, as the builder."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from microrollup.block import Block
from microrollup.cli.directory import Node, open_node
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.codec.json_text import parse_json
from microrollup.crypto import compute_address
from microrollup.errors import DecodeError, RefusedError, UsageError
from microrollup.rollup import load_rollup
from microrollup.settlement.attestation import BatchAttestation, SignedAttestation, attestation_from_json
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.errors import FutureTimestamp
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.place import L1Place
from microrollup.settlement.protocol import SettledHead

__all__ = ["SettledRange", "parse_attestations", "settle_batches", "settle_command"]

_MAX_FILE_BYTES: Final = 64 << 20
_STDIN: Final = "-"


class SettledRange(msgspec.Struct, frozen=True, rename="camel"):
    """A batch that was settled now."""

    first_height: int
    last_height: int
    bytes: int
    attestations: int


@click.command("settle", cls=Command)
@app_argument
@data_option()
@l1_options
@click.option(
    "--attestations",
    "files",
    required=True,
    multiple=True,
    metavar="FILE",
    help="What `verify --json` printed, one file a verifier; `-` is standard input.",
)
@json_option
def settle_command(app: str, directory: Path, l1: L1Place | None, files: tuple[str, ...], output: Output) -> None:
    """Hand attested blocks to the settlement.

    Nothing settles without the attestations of a quorum, and nothing is settled twice.
    """
    attestations = [attestation for file in files for attestation in parse_attestations(_read_file(file))]
    with open_node(directory, load_rollup(app), l1=l1) as node:
        ranges = settle_batches(node, attestations)
        head = node.l1.get_settled()
    document = {
        "settled": head.height,
        "stateRoot": hex0x(head.state_root),
        "blockHash": hex0x(head.block_hash),
        "l1Number": head.l1_number,
        "batches": [msgspec.to_builtins(settled) for settled in ranges],
    }
    facts = {"settled": f"height {head.height}", "state root": document["stateRoot"], "L1 block": head.l1_number}
    table = make_table("heights", "bytes", "attestations")
    for settled in ranges:
        table.add_row(f"{settled.first_height} to {settled.last_height}", str(settled.bytes), str(settled.attestations))
    output.show(document, make_facts(dict(facts)), table if ranges else None)


def _read_file(file: str) -> bytes:
    if file == _STDIN:
        raw = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
    else:
        with Path(file).open("rb") as opened:
            raw = opened.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"{file} is larger than any list of attestations")
    return raw


def parse_attestations(raw: bytes) -> list[SignedAttestation]:
    """The attestations in what `verify --json` printed, or in a bare list of them. Raises `UsageError`."""
    try:
        document: Any = parse_json(raw)
        found = document["attestations"] if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise UsageError("the attestations are not a JSON list")
        return [attestation_from_json(json.dumps(item).encode()) for item in found]
    except (ValueError, KeyError, DecodeError, RefusedError) as error:
        raise UsageError(f"these are no attestations: {error}; give what `verify --json` prints") from None


def settle_batches(node: Node, attestations: Iterable[SignedAttestation]) -> list[SettledRange]:
    """Settle every batch that is attested and not settled yet, in order, and note in the ledger how far that goes.

    Raises the `SettlementError` of the rule that a batch breaks; those before it stay settled.
    """
    batches: dict[BatchAttestation, list[SignedAttestation]] = {}
    for signed in dict.fromkeys(attestations):
        batches.setdefault(signed.attestation, []).append(signed)
    settled: list[SettledRange] = []
    try:
        for attestation in sorted(batches, key=lambda attestation: attestation.first_height):
            if attestation.last_height <= node.l1.get_settled().height:
                continue
            blocks = _read_blocks(node, attestation)
            batch = encode_batch(node.ledger.rollup_id, blocks)
            _settle(node, batch, blocks[-1], batches[attestation])
            first, last = blocks[0].header.height, blocks[-1].header.height
            settled.append(SettledRange(first, last, len(batch), len(batches[attestation])))
    finally:
        head = node.l1.get_settled()
        if 0 < head.height <= node.ledger.checkpoint.height:
            node.ledger.note_settled(head.height, node.l1.get_time(head.l1_number))
    return settled


def _read_blocks(node: Node, attestation: BatchAttestation) -> list[Block]:
    first, last, tip = attestation.first_height, attestation.last_height, node.ledger.checkpoint.height
    if not 1 <= first <= last <= tip:
        raise UsageError(f"the attestation is for heights {first} to {last}; the store's newest block is {tip}")
    blocks = [node.ledger.get_block(height) for height in range(first, last + 1)]
    return [block for block in blocks if block is not None]


def _settle(node: Node, batch: bytes, last: Block, attestations: list[SignedAttestation]) -> SettledHead:
    """Settle one batch; a block that is a little ahead of L1's clock waits for it."""
    submitter = compute_address(node.key)
    deadline = time.monotonic() + 2 * SECONDS_PER_BLOCK
    while True:
        try:
            return node.l1.settle(batch, last.header, attestations, submitter=submitter)
        except FutureTimestamp:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
