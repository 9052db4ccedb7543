"""What a verifier attests of a based rollup: it follows from L1, so all verifiers sign the same."""

from __future__ import annotations

from typing import Final

from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import SigningKey
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.attestation import SignedAttestation, create_attestation, sign_attestation
from microrollup.settlement.batch import BASED_DATA_HASH
from microrollup.settlement.protocol import L1View
from microrollup.verifier.follow import verify_settled
from microrollup.verifier.signatures import SharedHeights, SignedHeights

__all__ = ["ATTESTED_BLOCKS", "attest_queue"]

ATTESTED_BLOCKS: Final = 32
"""Attestations end at L1 blocks that are multiples of it."""


def attest_queue(
    ledger: Ledger, l1: L1View, key: SigningKey | BlsKey, signed: SignedHeights | SharedHeights
) -> SignedAttestation | None:
    """Sign the blocks from the settled one on, up to the newest whose origin is at most the last multiple of 32 that
    L1 is not expected to take back; None if there is none.

    Verifiers with one depth thus sign the same without talking. Block hashes are written down before a signature is
    made.
    Raises `Divergence` if L1 settled another block than this verifier has, and `AttestationConflict`.
    """
    settled = l1.get_settled()
    if settled.height > ledger.checkpoint.height:
        return None
    verify_settled(ledger, settled)
    end = l1.get_origin() // ATTESTED_BLOCKS * ATTESTED_BLOCKS
    last = ledger.checkpoint.height
    while last > settled.height and ledger.get_header(last).l1_origin > end:
        last -= 1
    if last == settled.height:
        return None
    header = ledger.get_header(last)
    attestation = create_attestation(settled.block_hash, settled.height + 1, header, BASED_DATA_HASH)
    heights = range(settled.height + 1, last + 1)
    signed.record(ledger.rollup_id, [(height, ledger.get_block_hash(height)) for height in heights])
    return sign_attestation(key, attestation, ledger.genesis.l1_chain_id, l1.get_inbox())
