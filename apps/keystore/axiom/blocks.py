"""A block in Axiom's words: seven of them, derived from the header, and what is hashed of them."""

from __future__ import annotations

from microrollup.chain.block import Header
from microrollup.crypto.keccak import keccak256

__all__ = ["compute_axiom_block_hash", "compute_output_root", "compute_sequencer_address"]


def compute_sequencer_address(builder: bytes) -> bytes:
    """The 32-byte address that stands for a block's sequencer: 12 zero bytes and the builder of the genesis.

    A later builder does not change it: no header says who sealed the block.
    """
    return bytes(12) + builder


def compute_axiom_block_hash(header: Header, sequencer_address: bytes) -> bytes:
    """Axiom's hash of a block: keccak256 of its seven words.

    number, timestamp, parentHash, sequencerKeystoreAddress, stateRoot, withdrawalsRoot, transactionsRoot. The parent's
    hash is the rollup's own; the withdrawals are in the state's tree; the transactions' root is the actions'.
    """
    return keccak256(
        header.height.to_bytes(32, "big")
        + header.timestamp.to_bytes(32, "big")
        + header.parent_hash
        + sequencer_address
        + header.state_root
        + header.state_root
        + header.actions_root
    )


def compute_output_root(state_root: bytes, withdrawals_root: bytes, last_valid_block_hash: bytes) -> bytes:
    """What Axiom's readers on other chains open: keccak256 of the three 32-byte words."""
    return keccak256(state_root + withdrawals_root + last_valid_block_hash)
