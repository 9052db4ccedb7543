"""What the inbox would say to a transaction: a call as if in the next block, before any gas is spent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from microrollup.chain.block import Header, compute_block_hash
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.errors import (
    DuplicateAttester,
    ForeignAttester,
    HeightGap,
    MalleableSignature,
    SettlementError,
    TooFewAttestations,
    WrongAttestation,
    WrongData,
    WrongParent,
    WrongRollupId,
)
from microrollup.settlement.ethereum.answers import L1Block, parse_bytes
from microrollup.settlement.ethereum.contract import read_revert
from microrollup.settlement.ethereum.errors import L1Refused, TransactionRefused
from microrollup.settlement.ethereum.kzg import Sidecar
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.quorum_errors import RuleUnmet, WrongAggregate, WrongKind

__all__ = ["call_inbox", "find_difference", "is_about_attestations"]

_MAX_RESULT_BYTES: Final = 4096
_ABOUT_ATTESTATIONS: Final = (
    WrongData,
    WrongKind,
    MalleableSignature,
    ForeignAttester,
    DuplicateAttester,
    WrongAggregate,
    RuleUnmet,
    TooFewAttestations,
)
_NO_FUNDS: Final = re.compile("funds|balance", re.IGNORECASE)


async def call_inbox(
    transport: L1Transport,
    sender: bytes,
    to: bytes | None,
    data: bytes,
    head: L1Block,
    seconds_per_block: int,
    sidecar: Sidecar | None = None,
) -> bytes:
    """What the call would return in the block after `head`; without `to`, the code of the contract that it creates.

    Raises the `SettlementError` that the inbox reverts with, or `TransactionRefused` (no funds), or `L1Refused`.
    """
    form: dict[str, Any] = {"from": f"0x{sender.hex()}", "data": f"0x{data.hex()}"}
    if to is not None:
        form["to"] = f"0x{to.hex()}"
    if sidecar is not None:
        form["blobVersionedHashes"] = [f"0x{item.hex()}" for item in sidecar.versioned_hashes]
    block = {"number": hex(head.number + 1), "time": hex(head.time + seconds_per_block)}
    try:
        try:
            answer = await transport.ask("eth_call", form, "latest", {}, block)
        except L1Refused as refusal:
            if refusal.data is not None:
                raise
            # Not every node lets a call choose its block; "pending" is close, but may hold our own transaction.
            answer = await transport.ask("eth_call", form, "pending")
    except L1Refused as refusal:
        error = read_revert(refusal.data) if refusal.data else None
        if error is not None:
            raise error from None
        if _NO_FUNDS.search(refusal.message):
            raise TransactionRefused(sender, refusal.message) from None
        raise
    return parse_bytes("eth_call", answer, _MAX_RESULT_BYTES if to is not None else 1 << 16)


def find_difference(header: Header, attestations: Sequence[SignedAttestation]) -> SettlementError | None:
    """What the inbox cannot see, since it gets the words of all attestations once: one that says something else.

    The first one that differs from the header, or in the other words from the first attestation.
    """
    block_hash = compute_block_hash(header)
    for signed in attestations:
        found, first = signed.attestation, attestations[0].attestation
        if found.rollup_id != header.rollup_id:
            return WrongRollupId(header.rollup_id, found.rollup_id)
        if found.first_height != first.first_height:
            return HeightGap(first.first_height - 1, found.first_height, found.last_height)
        if found.parent_hash != first.parent_hash:
            return WrongParent(first.parent_hash, found.parent_hash)
        if found.last_height != header.height:
            return WrongAttestation("lastHeight", header.height, found.last_height)
        if found.block_hash != block_hash:
            return WrongAttestation("blockHash", block_hash, found.block_hash)
        if found.state_root != header.state_root:
            return WrongAttestation("stateRoot", header.state_root, found.state_root)
        if found.data_hash != first.data_hash:
            return WrongData(first.data_hash, found.data_hash)
    return None


def is_about_attestations(error: SettlementError) -> bool:
    """Whether the rule comes after all that speak of the header."""
    return isinstance(error, _ABOUT_ATTESTATIONS)
