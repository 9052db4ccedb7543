"""Attested batches handed to the settlement, as the builder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from microrollup.chain.block import Block
from microrollup.codec.json_text import parse_json
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.directory import OpenRollup
from microrollup.errors import DecodeError, RefusedError, UsageError
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    attestation_from_json,
    compute_attestation_digest,
)
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.errors import FutureTimestamp
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.proofs import ProofBook, ProofSource
from microrollup.settlement.protocol import Inbox, SettledHead
from microrollup.settlement.quorum import BatchProof

__all__ = ["SettledRange", "gather_proofs", "parse_attestations", "settle_batches"]


class SettledRange(msgspec.Struct, frozen=True, rename="camel"):
    """A batch that was settled now."""

    first_height: int
    last_height: int
    bytes: int
    attestations: int


def parse_attestations(raw: bytes) -> list[SignedAttestation]:
    """The attestations in what `verify --json` printed, or in a bare list of them. Raises `UsageError`."""
    try:
        document: Any = parse_json(raw)
        found = document["attestations"] if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise UsageError("the attestations are not a JSON list")
        return [attestation_from_json(json.dumps(item).encode()) for item in found]
    except (ValueError, KeyError, DecodeError, RefusedError) as error:
        raise UsageError(f"these are not attestations: {error}; give what `verify --json` prints") from None


def settle_batches(
    opened: OpenRollup, attestations: Iterable[SignedAttestation], sources: Sequence[ProofSource] = ()
) -> list[SettledRange]:
    """Settle every batch that is attested and not settled yet, in order, and note in the ledger how far that goes.

    `sources` say where the proofs are for the rules of the verifiers' set. Raises `UsageError` where one is missing.
    Raises the `SettlementError` of the rule that a batch breaks; those before it stay settled.
    """
    batches: dict[BatchAttestation, list[SignedAttestation]] = {}
    for signed in dict.fromkeys(attestations):
        batches.setdefault(signed.attestation, []).append(signed)
    settled: list[SettledRange] = []
    book = ProofBook(sources)
    try:
        for attestation in sorted(batches, key=lambda attestation: attestation.first_height):
            if attestation.last_height <= opened.l1.get_settled().height:
                continue
            blocks = _read_blocks(opened, attestation)
            batch = encode_batch(opened.ledger.rollup_id, blocks)
            _settle(opened, batch, blocks[-1], batches[attestation], book)
            first, last = blocks[0].header.height, blocks[-1].header.height
            settled.append(SettledRange(first, last, len(batch), len(batches[attestation])))
    finally:
        head = opened.l1.get_settled()
        if 0 < head.height <= opened.ledger.checkpoint.height:
            opened.ledger.note_settled(head.height, opened.l1.get_time(head.l1_number))
    return settled


def gather_proofs(inbox: Inbox, attestations: Sequence[SignedAttestation], book: ProofBook) -> tuple[BatchProof, ...]:
    """What the verifiers' set wants beside these attestations of one batch. Raises `UsageError` where it is missing."""
    verifiers = inbox.get_verifiers(inbox.get_number())
    if not verifiers.rules:
        return ()
    statement = compute_attestation_digest(
        attestations[0].attestation, inbox.get_genesis().l1_chain_id, inbox.get_inbox()
    )
    gathered = book.gather(verifiers, statement, len(attestations))
    if gathered.missing and not gathered.is_enough(verifiers, len(attestations)):
        raise UsageError(f"no proof of 0x{statement.hex()} of {'; of '.join(gathered.missing)}")
    return gathered.proofs


def _read_blocks(opened: OpenRollup, attestation: BatchAttestation) -> list[Block]:
    first, last, tip = attestation.first_height, attestation.last_height, opened.ledger.checkpoint.height
    if not 1 <= first <= last <= tip:
        raise UsageError(f"the attestation is for heights {first} to {last}; the store's newest block is {tip}")
    blocks = [opened.ledger.get_block(height) for height in range(first, last + 1)]
    return [block for block in blocks if block is not None]


def _settle(
    opened: OpenRollup, batch: bytes, last: Block, attestations: list[SignedAttestation], book: ProofBook
) -> SettledHead:
    """Settle one batch; a block that is a little ahead of L1's clock waits for it."""
    submitter = compute_address(opened.key)
    proofs = gather_proofs(opened.l1, attestations, book)
    deadline = time.monotonic() + 2 * SECONDS_PER_BLOCK
    while True:
        try:
            return opened.l1.settle(batch, last.header, attestations, submitter=submitter, proofs=proofs)
        except FutureTimestamp:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
