"""Call data of the contracts that bring the keystore's roots to L2s, and of those that L2s read on L1.

`KeystoreBroadcaster`, `KeystoreRoots` and `L1SloadRoots`; `L1Accounts` and `L1SloadAccounts`.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError

from .root_proofs import RootProof

__all__ = [
    "Delivery",
    "LatestRoot",
    "compute_opened_account_slot",
    "decode_latest",
    "encode_arbitrum_parameters",
    "encode_broadcast",
    "encode_get_account",
    "encode_latest",
    "encode_op_stack_parameters",
    "encode_open_account",
    "encode_open_initial_account",
    "encode_prove_root",
    "encode_read_inbox",
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


class LatestRoot(Struct, frozen=True):
    """The newest root that a chain's `KeystoreRoots` knows; all zeros before the first."""

    root: bytes
    """32 bytes."""
    height: int
    """Of the rollup's block."""
    shown_at: int
    """The latest L1 time, in seconds, at which the inbox was shown to hold it."""
    settled_at: int
    """The L1 time, in seconds, at which the inbox took it."""

    def compute_age(self, now: int) -> int:
        """Seconds between settlement and `now`, another time in seconds; 0 if that is earlier.

        An old root is as good as a new one while the keystore is idle. If the keystore has acknowledged a rotation
        since, L1 does not know it, and the old key acts on every chain until the keystore settles.
        """
        return max(0, now - self.settled_at)


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


def encode_read_inbox() -> bytes:
    """The call that takes what the inbox holds now, where L1's storage can be read; anybody may send it.

    To the roots' contract on L1 itself, and to `L1SloadRoots`.
    """
    return _select("readInbox()")


def encode_latest() -> bytes:
    """The question to the roots' contract for its newest root; `decode_latest` reads the answer."""
    return _select("latest()")


def decode_latest(answer: bytes) -> LatestRoot:
    """What the roots' contract answered. Raises `DecodeError` if it is something else."""
    try:
        root, height, shown_at, settled_at = abi_decode(["bytes32", "uint64", "uint64", "uint64"], answer)
    except (DecodingError, OverflowError) as error:
        raise DecodeError("latest root", str(error)) from None
    return LatestRoot(root, height, shown_at, settled_at)


def encode_record_block_hash() -> bytes:
    """The call to the roots' contract that keeps the hash of the L1 block that its chain knows now; anybody may."""
    return _select("recordBlockHash()")


def encode_open_account(key: bytes, data_hash: bytes, vk_hash: bytes, proof: bytes) -> bytes:
    """The call to `L1Accounts` that opens a registered account by its packed inclusion proof; anybody may send it."""
    types = ["bytes32", "bytes32", "bytes32", "bytes"]
    return _select(f"open({','.join(types)})") + abi_encode(types, [key, data_hash, vk_hash, proof])


def encode_open_initial_account(key: bytes, data_hash: bytes, vk_hash: bytes, salt: bytes, proof: bytes) -> bytes:
    """The call to `L1Accounts` that opens an account that was never registered, by its packed exclusion proof."""
    types = ["bytes32", "bytes32", "bytes32", "bytes32", "bytes"]
    return _select(f"openInitial({','.join(types)})") + abi_encode(types, [key, data_hash, vk_hash, salt, proof])


def encode_get_account(key: bytes) -> bytes:
    """The question to `L1Accounts` or `L1SloadAccounts` for an account: value hash, height, L1 time in seconds."""
    return _select("getAccount(bytes32)") + key


def compute_opened_account_slot(key: bytes) -> int:
    """The storage slot of `L1Accounts` with an account's value hash; in the next one are height and L1 time.

    The height is the lowest 64 bits, the time the 64 above them.
    """
    return int.from_bytes(keccak256(key + bytes(32)), "big")
