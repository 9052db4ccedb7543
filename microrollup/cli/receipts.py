"""`microrollup check-receipt`: whether a receipt that somebody shows is what the builder sealed and acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microrollup.chain.block_json import header_to_json
from microrollup.chain.receipt_proof import CheckedReceipt, InboxDomain, check_receipt_proof
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.deployment.receipts import read_receipt_proof
from microrollup.errors import AcknowledgementError, ProofError, UsageError
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["check_receipt_command"]


@click.command("check-receipt", cls=Command)
@click.argument("file", type=PATH)
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Refuse a receipt of another rollup.")
@click.option("--builder", type=hex_bytes(20), metavar="ADDRESS", help="Refuse a block that anybody else sealed.")
@click.option(
    "--block-hash",
    type=hex_bytes(32),
    metavar="HASH",
    help="Refuse any block but this one, which the inbox or a verifier has.",
)
@click.option(
    "--chain-id",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    help="Check the acknowledgement for the L1 with this chain id.",
)
@click.option(
    "--inbox",
    type=hex_bytes(20),
    metavar="ADDRESS",
    help="Check the acknowledgement for this inbox [default: the zero address].",
)
@json_option
def check_receipt_command(
    file: Path,
    rollup_id: bytes | None,
    builder: bytes | None,
    block_hash: bytes | None,
    chain_id: int | None,
    inbox: bytes | None,
    output: Output,
) -> int:
    """Check a receipt offline: ack, path, header and seal.

    FILE holds what `rollup_getReceiptProof` answered. What is not named here (rollup, builder, block) is taken from the
    file, and listed as unchecked. Exit code 1: the file does not prove its receipt.
    """
    if inbox is not None and chain_id is None:
        raise UsageError("--inbox needs --chain-id: an acknowledgement is signed for one inbox on one chain")
    domain = None if chain_id is None else InboxDomain(chain_id, ZERO_ADDRESS if inbox is None else inbox)
    proof = read_receipt_proof(file)
    try:
        checked = check_receipt_proof(proof, rollup_id=rollup_id, builder=builder, block_hash=block_hash, domain=domain)
    except (ProofError, AcknowledgementError) as error:
        found = {"valid": False, "error": type(error).__name__, "detail": str(error)}
        output.show(found, "The receipt is NOT proven:", str(error))
        return EXIT_FAILED
    output.show(_describe(checked), *_render(checked))
    return 0


def _describe(checked: CheckedReceipt) -> dict[str, Any]:
    receipt = checked.receipt
    return {
        "valid": True,
        "actionHash": hex0x(receipt.action_hash),
        "seq": receipt.seq,
        "height": checked.header.height,
        "status": checked.status,
        "reason": receipt.reason,
        "events": [{"name": name, "data": hex0x(data)} for name, data in receipt.events],
        "rollupId": hex0x(checked.header.rollup_id),
        "blockHash": hex0x(checked.block_hash),
        "builder": hex0x(checked.builder),
        "acknowledged": checked.acknowledged,
        "header": header_to_json(checked.header),
        "proven": list(checked.proven),
        "unchecked": list(checked.unchecked),
    }


def _render(checked: CheckedReceipt) -> list[Any]:
    receipt = checked.receipt
    facts: dict[str, object] = {
        "action": hex0x(receipt.action_hash),
        "outcome": checked.status + (f": {receipt.reason}" if receipt.reason else ""),
        "seq": receipt.seq,
        "block": f"{checked.header.height}, {hex0x(checked.block_hash)}",
        "rollup": hex0x(checked.header.rollup_id),
        "builder": hex0x(checked.builder),
    }
    facts |= {f"event {number}": f"{name} {hex0x(data)}" for number, (name, data) in enumerate(receipt.events)}
    lists: list[Any] = [make_facts(facts), "", "Proven:", *[f"  {sentence}" for sentence in checked.proven]]
    if checked.unchecked:
        lists += ["", "Not checked:", *[f"  {sentence}" for sentence in checked.unchecked]]
    return lists
