"""Call data of `AxiomBridge`, and what it derives from a settled header: Axiom's block hash and output root.

Names and argument order are Axiom's; its SDK sends the same bytes.
"""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode as abi_encode

from microrollup.chain.block import Header
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof

from .blocks import compute_axiom_block_hash, compute_output_root, compute_sequencer_address

__all__ = [
    "OUTPUT_ROOT_SLOT",
    "compute_axiom_block_hash",
    "compute_output_root",
    "compute_sequencer_address",
    "encode_collect_fees",
    "encode_deposit_data",
    "encode_finalize_withdrawal",
    "encode_initiate_l1_transaction",
    "encode_output_root_question",
    "encode_record_batch",
]

OUTPUT_ROOT_SLOT: Final = bytes.fromhex("c94330da5d5688c06df0ade6bfd773c87249c0b9f38b25021e2c16ab9672d000")
"""Storage slot of the newest output root, which readers on other chains prove: ERC-7201 of
`axiom.storage.AxiomKeystoreRollup`."""

_HEADER_TUPLE: Final = (
    "(bytes32,uint256,bytes32,uint256,bytes32,uint256,uint256,bytes32,uint256,uint256,bytes32,bytes32,bytes32,bytes32)"
)
_FINALIZE_TYPES: Final = (
    "uint256", "(bytes32,bytes32,bytes32)", "(bytes32,bytes1,bytes32,uint256,address)", "bytes32[]", "uint256"
)  # fmt: skip


def _call(name: str, types: list[str], arguments: list[object]) -> bytes:
    return keccak256(f"{name}({','.join(types)})".encode())[:4] + abi_encode(types, arguments)


def encode_deposit_data(amount: int, key: bytes) -> bytes:
    """Data of a deposit, 64 bytes: the amount in wei, and the account's 32-byte key."""
    return amount.to_bytes(32, "big") + key


def encode_initiate_l1_transaction(transaction_type: int, data: bytes) -> bytes:
    """The call that sends a transaction through L1.

    Its value is the fee, and of a deposit the amount too. `data` of an UPDATE or WITHDRAW is its RLP list.
    """
    return _call("initiateL1Transaction", ["(uint8,bytes)"], [(transaction_type, data)])


def encode_record_batch(header: Header) -> bytes:
    """The call that records the output root of the block that the inbox holds; anybody may send it."""
    words = tuple(getattr(header, name) for name in Header.__struct_fields__)
    return _call("recordBatch", [_HEADER_TUPLE], [words])


def encode_output_root_question(batch_index: int) -> bytes:
    """The question for the output root of a batch: 32 bytes, zero if it was not recorded."""
    return _call("outputRootAt", ["uint256"], [batch_index])


def encode_finalize_withdrawal(
    batch_index: int, preimage: tuple[bytes, bytes, bytes], to: bytes, amount: int, proof: Proof
) -> bytes:
    """The call that pays a withdrawal of ether; anybody may send it.

    `batch_index` is the height of the recorded batch's last block, `preimage` the three words of its output root;
    `proof` is of the withdrawal's leaf under the first of them.
    """
    leaf = proof.leaf
    arguments = (leaf.key, bytes([leaf.next_prefix]), leaf.next_key, amount, to)
    return _call(
        "finalizeWithdrawal",
        list(_FINALIZE_TYPES),
        [batch_index, preimage, arguments, list(proof.siblings), proof.is_left],
    )


def encode_collect_fees() -> bytes:
    """The call that sends the fees to their recipient; anybody may send it."""
    return _call("collectFees", [], [])
