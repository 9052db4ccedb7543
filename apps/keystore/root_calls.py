"""Call data of the contracts that bring the keystore's roots to L2s: `KeystoreBroadcaster` and `KeystoreRoots`."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from apps.keystore.root_proofs import RootProof
from microrollup.crypto import keccak256

__all__ = [
    "Delivery",
    "encode_arbitrum_parameters",
    "encode_broadcast",
    "encode_op_stack_parameters",
    "encode_prove_root",
    "encode_record_block_hash",
]


class Delivery(Struct, frozen=True):
    """One L2 that the broadcaster tells."""

    sender: bytes
    """20 bytes: the adapter of its bridge, on L1."""
    receiver: bytes
    """20 bytes: the roots' contract, on the L2."""
    value: int
    """Wei that the bridge is paid. A broadcast is sent with the sum of all deliveries' values."""
    parameters: bytes
    """The bridge's own."""


def _select(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def encode_op_stack_parameters(messenger: bytes, min_gas_limit: int) -> bytes:
    """What `OpStackSender` takes; a first root takes about 100,000 gas on the L2, a later one less.

    `messenger` is the 20-byte address of the chain's own L1CrossDomainMessenger.
    """
    return abi_encode(["address", "uint32"], [messenger, min_gas_limit])


def encode_arbitrum_parameters(
    inbox: bytes, max_submission_cost: int, gas_limit: int, max_fee_per_gas: int, refund_to: bytes
) -> bytes:
    """What `ArbitrumSender` takes, for a value of at least `max_submission_cost + gas_limit * max_fee_per_gas`.

    `inbox` is the 20-byte address of the chain's own delayed inbox on L1. `refund_to`, 20 bytes too, gets what is left
    over on the L2, and may cancel the ticket.
    """
    types = ["address", "uint256", "uint256", "uint256", "address"]
    return abi_encode(types, [inbox, max_submission_cost, gas_limit, max_fee_per_gas, refund_to])


def encode_broadcast(deliveries: Sequence[Delivery]) -> bytes:
    """The call to the broadcaster that tells all these L2s what the inbox holds now; anybody may send it."""
    packed = [(delivery.sender, delivery.receiver, delivery.value, delivery.parameters) for delivery in deliveries]
    selector = _select("broadcast((address,address,uint256,bytes)[])")
    return selector + abi_encode(["(address,address,uint256,bytes)[]"], [packed])


def encode_prove_root(proof: RootProof) -> bytes:
    """The call to the roots' contract that shows it what the inbox held in an L1 block; anybody may send it."""
    types = ["uint64", "bytes", "bytes[]", "bytes[]", "bytes[]"]
    arguments = [proof.number, proof.header, proof.account_proof, proof.root_proof, proof.head_proof]
    return _select(f"proveRoot({','.join(types)})") + abi_encode(types, arguments)


def encode_record_block_hash() -> bytes:
    """The call to the roots' contract that keeps the hash of the L1 block that its chain knows now; anybody may."""
    return _select("recordBlockHash()")
