"""How Axiom's bridge comes to be: what it is created from, and where it is then.

It is created with the address of the vault, by the deployment proxy, so its own address can be computed before the
rollup's genesis, which names it.
"""

from __future__ import annotations

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from ..smart_account.addresses import compute_deployed_address
from ..smart_account.configuration import load_creation_code
from .blocks import compute_sequencer_address

__all__ = ["BridgeTerms", "compute_bridge_address", "encode_bridge_creation"]


class BridgeTerms(Struct, frozen=True):
    """What a bridge takes for transactions that begin on L1, in wei, for ever, and who gets it."""

    recipient: bytes
    """20 bytes."""
    deposit: int
    withdraw: int
    update: int


def encode_bridge_creation(vault: bytes, builder: bytes, terms: BridgeTerms) -> bytes:
    """The creation code of the bridge of a vault (20 bytes), for the rollup of this first builder (20 bytes)."""
    types = ["address", "bytes32", "address", "uint256", "uint256", "uint256"]
    words = [vault, compute_sequencer_address(builder), terms.recipient, terms.deposit, terms.withdraw, terms.update]
    return load_creation_code("AxiomBridge") + abi_encode(types, words)


def compute_bridge_address(vault: bytes, builder: bytes, terms: BridgeTerms) -> bytes:
    """Where that bridge is: 20 bytes."""
    return compute_deployed_address(encode_bridge_creation(vault, builder, terms))
